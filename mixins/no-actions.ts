/** moleculer-db's own actions are public, take any field and skip the contract's check: all off. */
export const NO_ACTIONS = {
  find: false,
  count: false,
  list: false,
  create: false,
  insert: false,
  get: false,
  update: false,
  remove: false,
} as const;
