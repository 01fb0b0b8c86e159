// A small TCP balancer, as a cluster's Service is one: each new connection goes to the next endpoint of a list that
// somebody else keeps, and that may be stale. It knows nothing of HTTP and tries nothing twice.

import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Balancer {
  readonly url: string;
  /** `host:port` of every endpoint, changed by its owner at any time. */
  endpoints: readonly string[];
  /** How many connections an endpoint has been given so far. */
  connectionsTo(endpoint: string): number;
  stop(): Promise<void>;
}

export async function startBalancer(endpoints: readonly string[]): Promise<Balancer> {
  const sockets = new Set<Socket>();
  const counts = new Map<string, number>();
  let turn = 0;
  const server = createServer(client => {
    const endpoint = balancer.endpoints[turn++ % balancer.endpoints.length];
    const [host, port] = (endpoint ?? '').split(':');
    counts.set(endpoint ?? '', (counts.get(endpoint ?? '') ?? 0) + 1);
    const backend = connect(Number(port), host);
    for (const [from, to] of [
      [client, backend],
      [backend, client],
    ] as const) {
      sockets.add(from);
      from.pipe(to);
      from.once('error', () => to.destroy());
      from.once('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const balancer: Balancer = {
    url: `http://127.0.0.1:${port}`,
    endpoints,
    connectionsTo: endpoint => counts.get(endpoint) ?? 0,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise(resolve => server.close(resolve));
    },
  };
  return balancer;
}
