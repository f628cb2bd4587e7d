// The bodies of messages about alerts: for a program, and for a chat.
import { describeAlert } from '../events/alert-texts.ts';
import type { AlertMessage, MessageEdge } from '../events/alerts.ts';

const titles: Record<MessageEdge, string> = {
  raised: 'Postbell alert',
  reminder: 'Postbell alert, still open',
  resolved: 'Postbell alert resolved',
  test: 'Postbell test',
};
/** Alerts that a message lists; it counts the others. */
const maxListed = 20;

/** The body for an endpoint that checks signatures. */
export function signedBody({ edge, alerts, createdAt }: AlertMessage, name: string | undefined): string {
  return JSON.stringify({
    type: `postbell.alert.${edge}`,
    timestamp: createdAt.toISOString(),
    data: {
      inbox: name ?? null,
      edge,
      total: alerts.length,
      alerts: alerts.slice(0, maxListed).map((alert) => {
        const { kind, source, topic, errorClass, facts, since } = alert;
        const { sentence, command } = describeAlert(alert);
        return { kind, source, topic, error_class: errorClass, since, facts, text: sentence, command };
      }),
    },
  });
}

/** The body for an incoming webhook of Slack, Mattermost, Rocket.Chat, or Discord (its address with /slack). */
export function chatBody({ edge, alerts }: AlertMessage, name: string | undefined): string {
  const lines = alerts.slice(0, maxListed).map((alert) => {
    const { sentence, command } = describeAlert(alert);
    return edge === 'resolved'
      ? `• ${escapeForChat(sentence)}`
      : `• ${escapeForChat(sentence)} (${escapeForChat(command)})`;
  });
  const more = alerts.length - maxListed;
  if (more > 0) lines.push(`and ${more} more: postbell alerts`);
  const title = name ? `${titles[edge]} (${escapeForChat(name)})` : titles[edge];
  return JSON.stringify({ text: `*${title}*\n${lines.join('\n')}` });
}

/** Slack reads `<…>` as links and mentions. */
function escapeForChat(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
