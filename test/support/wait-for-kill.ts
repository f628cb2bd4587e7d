// A process that does nothing until it is ended, or fails at once when told to.
if (process.argv[2] === 'fail') process.exit(7);
setInterval(() => {}, 60_000);
process.stdout.write('{"msg":"waiting"}\nnot a log line\n');
