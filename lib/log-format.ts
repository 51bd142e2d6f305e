/** How a line of the log is shown to people, as pino-pretty takes it: which part, what, and the data, on one line. */
export const LOG_LINE = {
  ignore: "pid,hostname,nodeID,ns,mod,svc,ver,trace_id,span_id",
  messageFormat: "{mod}: {msg}",
  singleLine: true,
};
