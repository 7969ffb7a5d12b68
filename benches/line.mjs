// A slow line to a server of this machine, for measurements: so many bits a second, shared by all connections, and a round trip before an answer.
import net from 'node:net';

/** Bytes that go over the line in one piece: its users take turns. */
const PIECE = 8 << 10;
const SLACK_MS = 20;

/**
 * @param {number} port of the server
 * @param {{mbit: number, roundTripMs: number}} line
 * @returns {Promise<{url: string, close: () => Promise<void>}>}
 */
export function openLine(port, { mbit, roundTripMs }) {
  let free = 0;
  const passed = (bytes) => {
    // A timer that is late costs nothing: the line made up for it.
    free = Math.max(free, performance.now() - SLACK_MS) + (bytes * 8) / (mbit * 1000);
    const wait = free - performance.now();
    return new Promise((resolve) => setTimeout(resolve, wait));
  };
  const sockets = new Set();
  const listener = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    const end = () => {
      near.destroy();
      far.destroy();
      sockets.delete(near);
    };
    sockets.add(near);
    for (const socket of [near, far]) socket.setNoDelay().on('error', end).on('close', end);
    near.on('data', (bytes) => setTimeout(() => far.destroyed || far.write(bytes), roundTripMs));
    back(far, near).catch(end);
  });
  const back = async (from, to) => {
    for await (const bytes of from)
      for (let at = 0; at < bytes.length; at += PIECE) {
        const piece = bytes.subarray(at, at + PIECE);
        await passed(piece.length);
        if (!to.destroyed) to.write(piece);
      }
  };
  return new Promise((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(0, '127.0.0.1', () =>
      resolve({
        url: `http://localhost:${listener.address().port}/`,
        close: () =>
          new Promise((done) => {
            listener.close(() => done());
            for (const socket of sockets) socket.destroy();
          }),
      }),
    );
  });
}
