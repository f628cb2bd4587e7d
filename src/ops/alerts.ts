// The open alerts on the overview, where they are acknowledged.
import type { FastifyInstance } from 'fastify';
import { describeAlert } from '../events/alert-texts.ts';
import { type AlertRow, acknowledgeAlerts, reportedAlert } from '../events/alerts.ts';
import { OpsError } from './errors.ts';
import { signedInUser } from './gate.ts';
import { type Html, html } from './html.ts';
import type { PageDeps } from './page-deps.ts';
import { ago } from './parts.ts';
import { formOf, opsUrl } from './urls.ts';

const fields = ['kind', 'source', 'topic', 'errorClass'] as const;

export function addAlertActions(app: FastifyInstance, { inbox }: PageDeps): void {
  app.post('/alerts', async (request, reply) => {
    const form = formOf(request);
    const [kind, source, topic, errorClass] = fields.map((field) => form.get(field) ?? undefined);
    if (kind === undefined) throw new OpsError(400, 'The form is incomplete: go back and try again.');
    const { name } = signedInUser(request);
    // The row itself says who acknowledged it.
    await inbox.change((tx) => acknowledgeAlerts(tx, { kind, source, topic, errorClass }, name));
    return reply.redirect(opsUrl(''), 303);
  });
}

export function alertList(alerts: readonly AlertRow[], now: Date): Html | undefined {
  if (alerts.length === 0) return undefined;
  return html`<section id="alerts"><h2>Open alerts</h2><ul class="plain">${alerts.map((alert) => alertItem(alert, now))}</ul></section>`;
}

function alertItem(alert: AlertRow, now: Date): Html {
  const { sentence } = describeAlert(reportedAlert(alert));
  const state =
    alert.acknowledgedBy === null
      ? html`<form method="post" action="${opsUrl('/alerts')}">${fields.map((field) => html`<input type="hidden" name="${field}" value="${alert[field]}">`)}<button>Acknowledge</button></form>`
      : html`<span class="hint">acknowledged by ${alert.acknowledgedBy}</span>`;
  return html`<li><div>${sentence} <span class="hint">since ${ago(alert.beganAt, now)}</span></div> ${state}</li>`;
}
