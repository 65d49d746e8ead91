// Makes a component of a script: `node componentize.mjs SCRIPT WIT WORLD COMPONENT`.
import { writeFile } from 'node:fs/promises';

import { componentize } from '@bytecodealliance/componentize-js';

const [sourcePath, witPath, worldName, target] = process.argv.slice(2);
// A command serves no `fetch` event, and does without what that imports.
const disableFeatures = worldName.endsWith('proxy') ? [] : ['http', 'fetch-event'];
const { component } = await componentize({ sourcePath, witPath, worldName, disableFeatures });
await writeFile(target, component);
