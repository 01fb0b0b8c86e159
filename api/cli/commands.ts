// Every command, in the order of the overview.

import { batch } from './batch.ts';
import type { Command } from './command.ts';
import { check, jacobian, jvp, value, vjp } from './derivative.ts';
import { doctor } from './doctor.ts';
import { explain } from './explain.ts';
import { cancel, list, result, status, submit, watch } from './jobs.ts';
import { up } from './up.ts';

export const COMMANDS: readonly Command[] = [
  jvp,
  vjp,
  jacobian,
  value,
  check,
  explain,
  submit,
  status,
  watch,
  result,
  cancel,
  list,
  batch,
  up,
  doctor,
];
