// A server that only counts bytes and answers: what the generator reaches against it is the generator's own limit.
import { createServer } from 'node:net';

const recordBytes = Number(process.env.RECORD_BYTES);
const answer = Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{"ok":true}');
const page = Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok');

createServer({ noDelay: true }, (socket) => {
  let bytes = 0;
  let isFirst = true;
  socket.on('error', () => {}); // the generator hangs up when its time is over
  socket.on('data', (data) => {
    // 'G': the question whether we are ready.
    if (isFirst && data[0] === 71) return void socket.end(page);
    isFirst = false;
    bytes += data.length;
    for (; bytes >= recordBytes; bytes -= recordBytes) socket.write(answer);
  });
}).listen(Number(process.env.PORT), '127.0.0.1');
