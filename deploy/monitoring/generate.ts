// `npm run dashboards`: writes what deploy/monitoring generates.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY_ROOT } from '../local/root.ts';
import { generateFiles } from './generated.ts';

const DEPLOY_DIR = join(REPOSITORY_ROOT, 'deploy');

for (const [path, content] of generateFiles(DEPLOY_DIR)) writeFileSync(join(DEPLOY_DIR, path), content);
