// The bodies of messages about alerts: for a program, and for a chat.
import { describeAlert } from '../events/alert-texts.ts';
import type { AlertMessage, MessageEdge, ReportedAlert } from '../events/alerts.ts';
import type { AlertTarget } from './settings.ts';

type Sender = Pick<AlertTarget, 'inboxName' | 'opsUrl'>;

const titles: Record<MessageEdge, string> = {
  raised: 'Postbell alert',
  reminder: 'Postbell alert, still open',
  resolved: 'Postbell alert resolved',
  test: 'Postbell test',
};
/** Alerts that a message lists; it counts the others. */
const maxListed = 20;
/** The longest text that Discord accepts; it refuses a longer one. */
const maxChatLength = 2_000;
/** Room for the line that counts the others. */
const moreLength = 40;

/** The body for an endpoint that checks signatures. */
export function signedBody({ edge, alerts, createdAt }: AlertMessage, sender: Sender): string {
  return JSON.stringify({
    type: `postbell.alert.${edge}`,
    timestamp: createdAt.toISOString(),
    data: {
      inbox: sender.inboxName ?? null,
      url: sender.opsUrl ?? null,
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
export function chatBody({ edge, alerts }: AlertMessage, { inboxName, opsUrl }: Sender): string {
  const title = inboxName ? `${titles[edge]} (${escapeForChat(inboxName)})` : titles[edge];
  const first = `*${title}*`;
  const last = opsUrl === undefined ? [] : [opsUrl];
  const room = maxChatLength - first.length - last.join('').length - moreLength;
  const lines: string[] = [];
  let length = 0;
  for (const alert of alerts.slice(0, maxListed)) {
    const line = chatLine(alert, edge, room);
    length += line.length + 1;
    if (length > room) break;
    lines.push(line);
  }
  const more = alerts.length - lines.length;
  if (more > 0) lines.push(`and ${more} more: postbell alerts`);
  return JSON.stringify({ text: [first, ...lines, ...last].join('\n') });
}

/** With its command, or without it, or cut, so that it fits. A topic may have 200 characters, a class of errors more. */
function chatLine(alert: ReportedAlert, edge: MessageEdge, room: number): string {
  const { sentence, command } = describeAlert(alert);
  const line = `• ${escapeForChat(sentence)}`;
  const full = edge === 'resolved' ? line : `${line} (${escapeForChat(command)})`;
  if (full.length < room) return full;
  if (line.length < room) return line;
  // Escaped, a character has at most 5.
  return `• ${escapeForChat(sentence.slice(0, Math.floor((room - 4) / 5)))}…`;
}

/** Slack reads `<…>` as links and mentions. */
function escapeForChat(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
