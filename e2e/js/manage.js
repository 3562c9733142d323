// Walks the management API with Microsoft's SDK: standard input says where, and
// standard output is what it saw.
"use strict";
const { EventGridManagementClient } = require("@azure/arm-eventgrid");
const { ClientSecretCredential } = require("@azure/identity");

async function names(list) {
  const out = [];
  for await (const item of list) out.push(item.name);
  return out.sort();
}

async function run(o) {
  const credential = new ClientSecretCredential(o.tenant, o.client, o.secret, {
    authorityHost: o.authority,
    disableInstanceDiscovery: true,
  });
  const arm = new EventGridManagementClient(credential, o.subscription, { endpoint: o.authority });
  const seen = {};
  const hook = (name) => ({
    destination: { endpointType: "WebHook", endpointUrl: `${o.hook}/${name}?code=s3cr3t` },
    labels: ["js"],
  });

  const topic = await arm.topics.beginCreateOrUpdateAndWait(o.group, "js-topic", { location: "westeurope" });
  seen.topic = [topic.provisioningState, topic.inputSchema, topic.endpoint];
  await arm.topics.beginUpdateAndWait(o.group, "js-topic", { tags: { a: "b" } });
  seen.tags = (await arm.topics.get(o.group, "js-topic")).tags;
  const keys = await arm.topics.listSharedAccessKeys(o.group, "js-topic");
  const changed = await arm.topics.beginRegenerateKeyAndWait(o.group, "js-topic", { keyName: "key2" });
  seen.regenerated = [keys.key1 === changed.key1, keys.key2 === changed.key2];

  const extension = await arm.eventSubscriptions.beginCreateOrUpdateAndWait(topic.id, "by-scope", hook("grid/scope"));
  seen.byScope = [extension.provisioningState, extension.type, extension.eventDeliverySchema];
  const nested = await arm.topicEventSubscriptions.beginCreateOrUpdateAndWait(o.group, "js-topic", "nested", hook("grid/nested"));
  seen.nested = [nested.provisioningState, nested.type];
  seen.ofTopic = await names(arm.topicEventSubscriptions.list(o.group, "js-topic"));
  seen.ofResource = await names(arm.eventSubscriptions.listByResource(o.group, "Microsoft.EventGrid", "topics", "js-topic"));
  seen.fullURL = (await arm.eventSubscriptions.getFullUrl(topic.id, "nested")).endpointUrl;
  await arm.eventSubscriptions.beginUpdateAndWait(topic.id, "nested", { labels: ["changed"] });
  seen.labels = (await arm.topicEventSubscriptions.get(o.group, "js-topic", "nested")).labels;

  const domain = await arm.domains.beginCreateOrUpdateAndWait(o.group, "js-domain", { location: "westeurope" });
  await arm.domainTopics.beginCreateOrUpdateAndWait(o.group, "js-domain", "made");
  await arm.eventSubscriptions.beginCreateOrUpdateAndWait(`${domain.id}/topics/first`, "one", hook("grid/first"));
  seen.domainTopics = await names(arm.domainTopics.listByDomain(o.group, "js-domain"));
  await arm.eventSubscriptions.beginDeleteAndWait(`${domain.id}/topics/first`, "one");
  seen.domainTopicsLater = await names(arm.domainTopics.listByDomain(o.group, "js-domain"));

  const system = await arm.systemTopics.beginCreateOrUpdateAndWait(o.group, "js-system", {
    location: "global",
    source: `/subscriptions/${o.subscription}/resourceGroups/${o.group}`,
    topicType: "Microsoft.Resources.ResourceGroups",
  });
  seen.system = [system.provisioningState, system.topicType];
  await arm.systemTopicEventSubscriptions.beginCreateOrUpdateAndWait(o.group, "js-system", "changes", hook("grid/changes"));
  seen.global = await names(arm.eventSubscriptions.listGlobalByResourceGroup(o.group));
  seen.topicTypes = (await names(arm.topicTypes.list())).includes("Microsoft.Resources.ResourceGroups");

  await arm.systemTopics.beginDeleteAndWait(o.group, "js-system");
  await arm.domains.beginDeleteAndWait(o.group, "js-domain");
  await arm.topics.beginDeleteAndWait(o.group, "js-topic");
  seen.left = await names(arm.topics.listByResourceGroup(o.group));
  return seen;
}

(async () => {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  process.stdout.write(JSON.stringify(await run(JSON.parse(Buffer.concat(chunks).toString("utf8")))));
})().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
