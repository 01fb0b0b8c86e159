// `frechet up`: what `npm start` does, from any folder.

import type { Command } from './command.ts';
import { EXIT_CODES } from './exit-codes.ts';

/** Options and the settings that they stand for. */
const SETTINGS = { port: 'FRECHET_PORT', data: 'FRECHET_DATA_DIR' } as const;

export const up: Command = {
  name: 'up',
  summary: 'run Redis, a gateway and a worker until Ctrl-C',
  usage: '[--port N] [--data DIR]',
  notes: '  Every setting of the service is an environment variable, too.',
  options: {
    port: { argument: 'N', help: 'of the API; default FRECHET_PORT or 8080' },
    data: { argument: 'DIR', help: 'the data folder; default FRECHET_DATA_DIR or ./data' },
  },
  async run(given, { environment }) {
    const settings = environment as Record<string, string | undefined>; // this process', which is about to become the service's
    for (const [option, variable] of Object.entries(SETTINGS)) {
      const value = given.text(option);
      if (value !== undefined) settings[variable] = value;
    }
    // A program of its own, which handles signals and ends the process itself.
    await import('../../deploy/local/up.ts');
    return EXIT_CODES.ok;
  },
};
