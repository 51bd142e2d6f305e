/** Loaded into every node of a local cluster: a node whose cluster has ended, however that ended, stops too. */
process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
process.channel?.unref();
