// One message to a thread: shares of tasks that others work on too, and plans that it runs whole, one after the other.

import type { ErrorCode } from '../../shared/errors.ts';
import type { Plan } from '../plan/plan.ts';
import type { ExecutionReport, PlanPlace } from './run-plan.ts';
import type { Control, Findings, ThreadTask } from './task.ts';

/** A plan that streams nothing, for one thread. */
export interface WholePlan {
  readonly plan: Plan;
  readonly place: PlanPlace;
  readonly control: Control;
}

/** How it ended. Errors are told by their code: between threads they lose their class. */
export type PlanEnd =
  | { readonly report: ExecutionReport }
  | { readonly fault: { readonly code: ErrorCode; readonly detail: string } }
  | { readonly isCancelled: true };

export interface Bundle {
  readonly work: readonly (ThreadTask | WholePlan)[];
}

/** One for each piece of work, in its order. */
export type BundleAnswer = readonly (Findings | PlanEnd)[];
