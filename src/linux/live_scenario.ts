import type { Operation } from '../kernel/operation.js';
import type { StateFile } from '../trace/state.js';
import { LiveServer } from './live_server.js';
import type { LiveServerOptions } from './live_server.js';

/**
 * Performs one scenario with real processes on this kernel and returns what its structures held,
 * in the state format. Settings are as they were when this returns or throws. For many scenarios
 * keep a `LiveServer` open instead.
 */
export async function performScenario(
  operations: readonly Operation[],
  options: LiveServerOptions = {},
): Promise<StateFile> {
  const server = await LiveServer.open(options);
  try {
    return await server.run(operations);
  } finally {
    await server.close();
  }
}
