// A TCP proxy before Redis that can fall silent: connections stay open, new ones are accepted, and nothing that is
// sent ever arrives. So do a failed switch, a lost node and a full queue in between look from outside.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type NetConnectOpts, type Socket } from 'node:net';

export interface SilentProxy {
  readonly url: string;
  /** Swallows everything from now on, in both directions. */
  fallSilent(): void;
  /** Closes what was swallowed from and forwards again, for those who connect anew. */
  speak(): void;
  close(): void;
}

export async function startSilentProxy(target: NetConnectOpts): Promise<SilentProxy> {
  let isSilent = false;
  const sockets = new Set<Socket>();

  function join(client: Socket): void {
    const server = connect(target);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(from);
      from.on('data', bytes => void (isSilent || to.write(bytes)));
      from.on('error', () => undefined);
      // Silence holds for goodbyes, too.
      from.on('close', () => {
        sockets.delete(from);
        if (!isSilent) to.destroy();
      });
    }
  }

  const listener = createServer({ noDelay: true }, join);
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    fallSilent() {
      isSilent = true;
    },
    speak() {
      isSilent = false;
      cut();
    },
    close() {
      listener.close();
      cut();
    },
  };
}
