// All providers, by name. A new provider needs one file in catalogue/ and one entry here.
import { acuity } from './catalogue/acuity.ts';
import { adyen } from './catalogue/adyen.ts';
import { aftership } from './catalogue/aftership.ts';
import { airtable } from './catalogue/airtable.ts';
import { anthropic } from './catalogue/anthropic.ts';
import { appleAppStore } from './catalogue/apple-app-store.ts';
import { asana } from './catalogue/asana.ts';
import { ashby } from './catalogue/ashby.ts';
import { atlassianConnect } from './catalogue/atlassian-connect.ts';
import { attio } from './catalogue/attio.ts';
import { auth0 } from './catalogue/auth0.ts';
import { auth0Events } from './catalogue/auth0-events.ts';
import { authsignal } from './catalogue/authsignal.ts';
import { awsSns } from './catalogue/aws-sns.ts';
import { bigcommerce } from './catalogue/bigcommerce.ts';
import { bitbucket } from './catalogue/bitbucket.ts';
import { box } from './catalogue/box.ts';
import { braintree } from './catalogue/braintree.ts';
import { brevo } from './catalogue/brevo.ts';
import { buildkite } from './catalogue/buildkite.ts';
import { calCom } from './catalogue/cal-com.ts';
import { calendly } from './catalogue/calendly.ts';
import { cashfree } from './catalogue/cashfree.ts';
import { chargebee } from './catalogue/chargebee.ts';
import { checkoutCom } from './catalogue/checkout-com.ts';
import { circleci } from './catalogue/circleci.ts';
import { clerk } from './catalogue/clerk.ts';
import { close } from './catalogue/close.ts';
import { cloudevents } from './catalogue/cloudevents.ts';
import { cloudflare } from './catalogue/cloudflare.ts';
import { cloudinary } from './catalogue/cloudinary.ts';
import { coinbaseCommerce } from './catalogue/coinbase-commerce.ts';
import { contentful } from './catalogue/contentful.ts';
import { customerio } from './catalogue/customerio.ts';
import { discord } from './catalogue/discord.ts';
import { docusign } from './catalogue/docusign.ts';
import { dodopayments } from './catalogue/dodopayments.ts';
import { doppler } from './catalogue/doppler.ts';
import { dropbox } from './catalogue/dropbox.ts';
import { dropboxSign } from './catalogue/dropbox-sign.ts';
import { easypost } from './catalogue/easypost.ts';
import { ebay } from './catalogue/ebay.ts';
import { elevenlabs } from './catalogue/elevenlabs.ts';
import { etsy } from './catalogue/etsy.ts';
import { fal } from './catalogue/fal.ts';
import { fedex } from './catalogue/fedex.ts';
import { fingerprint } from './catalogue/fingerprint.ts';
import { fintoc } from './catalogue/fintoc.ts';
import { formstack } from './catalogue/formstack.ts';
import { front } from './catalogue/front.ts';
import { generic } from './catalogue/generic.ts';
import { getstream } from './catalogue/getstream.ts';
import { github } from './catalogue/github.ts';
import { gitlab } from './catalogue/gitlab.ts';
import { gocardless } from './catalogue/gocardless.ts';
import { googleChannels } from './catalogue/google-channels.ts';
import { googlePubsub } from './catalogue/google-pubsub.ts';
import { greenhouse } from './catalogue/greenhouse.ts';
import { helpScout } from './catalogue/help-scout.ts';
import { heroku } from './catalogue/heroku.ts';
import { hubspot } from './catalogue/hubspot.ts';
import { hygraph } from './catalogue/hygraph.ts';
import { intercom } from './catalogue/intercom.ts';
import { intuit } from './catalogue/intuit.ts';
import { jira } from './catalogue/jira.ts';
import { kinde } from './catalogue/kinde.ts';
import { klaviyo } from './catalogue/klaviyo.ts';
import { kontentAi } from './catalogue/kontent-ai.ts';
import { lark } from './catalogue/lark.ts';
import { lemonSqueezy } from './catalogue/lemon-squeezy.ts';
import { line } from './catalogue/line.ts';
import { linear } from './catalogue/linear.ts';
import { lithic } from './catalogue/lithic.ts';
import { liveblocks } from './catalogue/liveblocks.ts';
import { livekit } from './catalogue/livekit.ts';
import { lob } from './catalogue/lob.ts';
import { loops } from './catalogue/loops.ts';
import { mailchimp } from './catalogue/mailchimp.ts';
import { mailerlite } from './catalogue/mailerlite.ts';
import { mailgun } from './catalogue/mailgun.ts';
import { mandrill } from './catalogue/mandrill.ts';
import { mautic } from './catalogue/mautic.ts';
import { mercadopago } from './catalogue/mercadopago.ts';
import { messagebird } from './catalogue/messagebird.ts';
import { meta } from './catalogue/meta.ts';
import { microsoftGraph } from './catalogue/microsoft-graph.ts';
import { modernTreasury } from './catalogue/modern-treasury.ts';
import { mollie } from './catalogue/mollie.ts';
import { mux } from './catalogue/mux.ts';
import { netlify } from './catalogue/netlify.ts';
import { notion } from './catalogue/notion.ts';
import { okta } from './catalogue/okta.ts';
import { onfido } from './catalogue/onfido.ts';
import { onfleet } from './catalogue/onfleet.ts';
import { openai } from './catalogue/openai.ts';
import { orb } from './catalogue/orb.ts';
import { paddle } from './catalogue/paddle.ts';
import { pagerduty } from './catalogue/pagerduty.ts';
import { payos } from './catalogue/payos.ts';
import { paypal } from './catalogue/paypal.ts';
import { paystack } from './catalogue/paystack.ts';
import { persona } from './catalogue/persona.ts';
import { pipedrive } from './catalogue/pipedrive.ts';
import { plaid } from './catalogue/plaid.ts';
import { plivo } from './catalogue/plivo.ts';
import { polar } from './catalogue/polar.ts';
import { portone } from './catalogue/portone.ts';
import { postmark } from './catalogue/postmark.ts';
import { printful } from './catalogue/printful.ts';
import { pulled } from './catalogue/pulled.ts';
import { pusher } from './catalogue/pusher.ts';
import { qstash } from './catalogue/qstash.ts';
import { razorpay } from './catalogue/razorpay.ts';
import { recurly } from './catalogue/recurly.ts';
import { render } from './catalogue/render.ts';
import { replicate } from './catalogue/replicate.ts';
import { resend } from './catalogue/resend.ts';
import { retell } from './catalogue/retell.ts';
import { revenuecat } from './catalogue/revenuecat.ts';
import { revolut } from './catalogue/revolut.ts';
import { sanity } from './catalogue/sanity.ts';
import { seam } from './catalogue/seam.ts';
import { segment } from './catalogue/segment.ts';
import { sendgrid } from './catalogue/sendgrid.ts';
import { sentry } from './catalogue/sentry.ts';
import { shippo } from './catalogue/shippo.ts';
import { shipstation } from './catalogue/shipstation.ts';
import { shopify } from './catalogue/shopify.ts';
import { slack } from './catalogue/slack.ts';
import { smartcar } from './catalogue/smartcar.ts';
import { square } from './catalogue/square.ts';
import { standardWebhooks } from './catalogue/standard-webhooks.ts';
import { stripe } from './catalogue/stripe.ts';
import { supabase } from './catalogue/supabase.ts';
import { svix } from './catalogue/svix.ts';
import { taiga } from './catalogue/taiga.ts';
import { tally } from './catalogue/tally.ts';
import { telegram } from './catalogue/telegram.ts';
import { telnyx } from './catalogue/telnyx.ts';
import { trello } from './catalogue/trello.ts';
import { truelayer } from './catalogue/truelayer.ts';
import { twilio } from './catalogue/twilio.ts';
import { twitch } from './catalogue/twitch.ts';
import { typeform } from './catalogue/typeform.ts';
import { ups } from './catalogue/ups.ts';
import { vercel } from './catalogue/vercel.ts';
import { viber } from './catalogue/viber.ts';
import { vonage } from './catalogue/vonage.ts';
import { webflow } from './catalogue/webflow.ts';
import { whop } from './catalogue/whop.ts';
import { wise } from './catalogue/wise.ts';
import { woocommerce } from './catalogue/woocommerce.ts';
import { workos } from './catalogue/workos.ts';
import { xTwitter } from './catalogue/x-twitter.ts';
import { xero } from './catalogue/xero.ts';
import { zendesk } from './catalogue/zendesk.ts';
import { zoom } from './catalogue/zoom.ts';
import type { Provider } from './provider.ts';

export const providers = {
  acuity,
  adyen,
  aftership,
  airtable,
  anthropic,
  'apple-app-store': appleAppStore,
  asana,
  ashby,
  'atlassian-connect': atlassianConnect,
  attio,
  auth0,
  'auth0-events': auth0Events,
  authsignal,
  'aws-sns': awsSns,
  bigcommerce,
  bitbucket,
  box,
  braintree,
  brevo,
  buildkite,
  'cal-com': calCom,
  calendly,
  cashfree,
  chargebee,
  'checkout-com': checkoutCom,
  circleci,
  clerk,
  close,
  cloudevents,
  cloudflare,
  cloudinary,
  'coinbase-commerce': coinbaseCommerce,
  contentful,
  customerio,
  discord,
  docusign,
  dodopayments,
  doppler,
  dropbox,
  'dropbox-sign': dropboxSign,
  easypost,
  ebay,
  elevenlabs,
  etsy,
  fal,
  fedex,
  fingerprint,
  fintoc,
  formstack,
  front,
  generic,
  getstream,
  github,
  gitlab,
  gocardless,
  'google-channels': googleChannels,
  'google-pubsub': googlePubsub,
  greenhouse,
  'help-scout': helpScout,
  heroku,
  hubspot,
  hygraph,
  intercom,
  intuit,
  jira,
  kinde,
  klaviyo,
  'kontent-ai': kontentAi,
  lark,
  'lemon-squeezy': lemonSqueezy,
  line,
  linear,
  lithic,
  liveblocks,
  livekit,
  lob,
  loops,
  mailchimp,
  mailerlite,
  mailgun,
  mandrill,
  mautic,
  mercadopago,
  messagebird,
  meta,
  'microsoft-graph': microsoftGraph,
  'modern-treasury': modernTreasury,
  mollie,
  mux,
  netlify,
  notion,
  okta,
  onfido,
  onfleet,
  openai,
  orb,
  paddle,
  pagerduty,
  payos,
  paypal,
  paystack,
  persona,
  pipedrive,
  plaid,
  plivo,
  polar,
  portone,
  postmark,
  printful,
  pusher,
  qstash,
  razorpay,
  recurly,
  render,
  replicate,
  resend,
  retell,
  revenuecat,
  revolut,
  sanity,
  seam,
  segment,
  sendgrid,
  sentry,
  shippo,
  shipstation,
  shopify,
  slack,
  smartcar,
  square,
  'standard-webhooks': standardWebhooks,
  stripe,
  supabase,
  svix,
  taiga,
  tally,
  telegram,
  telnyx,
  trello,
  truelayer,
  twilio,
  twitch,
  typeform,
  ups,
  vercel,
  viber,
  vonage,
  webflow,
  whop,
  wise,
  woocommerce,
  workos,
  'x-twitter': xTwitter,
  xero,
  zendesk,
  zoom,
} as const satisfies Record<string, Provider>;

export type ProviderName = keyof typeof providers | 'pulled';

/** Finds a provider by a name that a user wrote: `constructor` and `__proto__` are no providers. */
export function findProvider(name: string): Provider | undefined {
  // It is not among the providers: it signs nothing, and nothing can be sent in its name.
  if (name === pulled.name) return pulled;
  return Object.hasOwn(providers, name) ? providers[name as keyof typeof providers] : undefined;
}
