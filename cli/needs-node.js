// Read before anything else, by whatever Node a shell has, so it is plain JavaScript.
if (Number.parseInt(process.versions.node, 10) < 24) {
  console.error(`molecart needs Node 24 or newer, and this is ${process.versions.node}.`);
  console.error(
    "Start it by npm, as `npm start`, `npm run cluster` or `npm run -s molecart -- …`, after a plain `npm ci`: it brings Node 24 along.",
  );
  process.exit(1);
}
