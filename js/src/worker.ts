/** Entry of the module worker: the host behind the worker's message port. */
import { createHost } from './host.js';
import { serve, type Port } from './rpc.js';

const scope = globalThis as unknown as Port;
const host = createHost();
const server = serve(scope, host.handlers);
// After a trap in the engine nothing may hang: the page closes the connection, and this worker with it.
host.onCrash(server.crash);
