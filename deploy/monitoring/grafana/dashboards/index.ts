// The table of dashboards, in the order of their links.

import { gateway } from './gateway.ts';
import { jobs } from './jobs.ts';
import { overview } from './overview.ts';
import { redisAndStore } from './redis-and-store.ts';
import type { DashboardSpec } from './spec.ts';
import { workers } from './workers.ts';

export const DASHBOARDS: readonly DashboardSpec[] = [overview, workers, jobs, gateway, redisAndStore];
