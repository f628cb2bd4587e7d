// Of every provider: a delivery that was signed once and is altered on its way becomes no second event. PROPERTY_SEED and
// PROPERTY_RUNS choose other alterations and more of them; `npm run fuzz` does.
import t from 'tap';
import { type Provider, providers } from '../../src/providers/index.ts';
import { bearers, checkAlterations } from './signed-once.ts';

const seed = Number(process.env.PROPERTY_SEED ?? 1);
const numRuns = Number(process.env.PROPERTY_RUNS ?? 20);

for (const provider of Object.values<Provider>(providers))
  t.test(provider.name, async (t) => {
    const accepted = await checkAlterations(provider, { seed, numRuns });
    t.ok(accepted > 0, 'some alterations are outside the signature, and were accepted as the same event');
    if (bearers.has(provider.name)) t.notOk(provider.scheme.signsBody, 'it says that it signs nothing');
  });
