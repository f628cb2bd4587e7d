// A sender outside the catalogue: variables of the source describe its HMAC scheme.

import type { Provider, SampleDraft } from '../provider.ts';
import { formatTimestamp } from '../schemes/freshness.ts';
import { hmac } from '../schemes/hmac.ts';
import type { KeySpec } from '../schemes/key.ts';
import { encodedSecret, textSecret } from '../secrets.ts';
import { header, type Part } from '../template/parts.ts';
import { type GenericSettings, genericSettings, readGenericSettings } from './generic-settings.ts';

/** The default: hex HMAC-SHA256 of the body in X-Signature. `configure` builds the described provider. */
export const generic: Provider = build(readGenericSettings({ HEADER: 'x-signature' }).settings);

function build(settings: GenericSettings): Provider {
  const { id, topic, timestampHeader } = settings;
  const key: KeySpec = settings.keyFormat === 'base64' ? { base64: '' } : settings.keyFormat;
  const tolerance = { pastSeconds: settings.toleranceSeconds, futureSeconds: settings.toleranceSeconds };
  const text = { label: 'Shared secret', where: "The sender's webhook settings" };
  const idHeader = headerName(id);
  const kept = [idHeader, headerName(topic), timestampHeader].filter((name) => name !== undefined);
  return {
    name: 'generic',
    title: 'Any HMAC sender',
    facts: 'Described by you, in <SOURCE>_HEADER and the variables beside it.',
    scheme: hmac({
      hash: settings.hash,
      key,
      message: settings.message,
      signature: { at: header(settings.header), encoding: settings.encoding, prefix: settings.prefix },
      ...(timestampHeader === undefined
        ? {}
        : { timestamp: { at: header(timestampHeader), unit: settings.timestampUnit, ...tolerance } }),
    }),
    secret: settings.keyFormat === 'text' ? textSecret(text) : encodedSecret({ ...text, key }),
    idIsSigned:
      idHeader === undefined || [settings.message].flat().some((part) => headerName(part) === idHeader),
    events: {
      id,
      topic,
      ...(settings.occurredAt
        ? { occurredAt: { at: settings.occurredAt, unit: settings.occurredAtUnit } }
        : {}),
    },
    headers: kept.filter((name) => name !== settings.header),
    retries: 'Unknown.',
    sending: { headers: (draft) => ({ ...asHeader(id, draft.id), ...asHeader(topic, draft.topic) }) },
    answers: 'unknown',
    samples: { '*': (draft) => sampleBody(settings, draft) },
    settings: genericSettings,
    configure(values) {
      const read = readGenericSettings(values);
      return read.problems.length > 0 ? { problems: read.problems } : { provider: build(read.settings) };
    },
  };
}

function headerName(part: Part): string | undefined {
  return typeof part === 'object' && part.kind === 'header' ? part.name : undefined;
}

function asHeader(part: Part, value: string): Record<string, string> {
  const name = headerName(part);
  return name === undefined ? {} : { [name]: value };
}

/** A body with the values at the places that the settings name. */
function sampleBody({ id, topic, occurredAt, occurredAtUnit }: GenericSettings, draft: SampleDraft): object {
  const body: Record<string, unknown> = { sample: true };
  setAt(body, id, draft.id);
  setAt(body, topic, draft.topic);
  if (occurredAt) setAt(body, occurredAt, formatTimestamp(draft.now, occurredAtUnit));
  return body;
}

function setAt(body: Record<string, unknown>, part: Part, value: string): void {
  if (typeof part !== 'object' || part.kind !== 'json') return;
  let target = body;
  for (const key of part.path.slice(0, -1)) {
    const next: Record<string, unknown> = Object.hasOwn(target, key)
      ? (target[key] as Record<string, unknown>)
      : {};
    target[key] = next;
    target = next;
  }
  target[part.path.at(-1) ?? ''] = value;
}
