// Publishes with Microsoft's SDK. Standard input is a list of jobs; standard
// output the list of what became of them: "ok", or a status and a message.
"use strict";
const { EventGridPublisherClient, AzureKeyCredential, generateSharedAccessSignature } = require("@azure/eventgrid");
const { AzureSASCredential } = require("@azure/core-auth");
const { ClientSecretCredential } = require("@azure/identity");

async function credentialOf(job) {
  const key = job.key && new AzureKeyCredential(job.key);
  switch (job.credential) {
    case "key":
      return key;
    case "sas":
      return new AzureSASCredential(await generateSharedAccessSignature(job.endpoint, key, new Date(Date.now() + 3600e3)));
    case "token":
      return new ClientSecretCredential(job.tenant, job.client, job.secret, {
        authorityHost: job.authority,
        disableInstanceDiscovery: true,
      });
    default:
      throw new Error(`no credential ${job.credential}`);
  }
}

async function run(job) {
  const client = new EventGridPublisherClient(job.endpoint, job.schema, await credentialOf(job), {
    retryOptions: { maxRetries: 0 },
  });
  const events = job.events.map((e) => (e.eventTime ? { ...e, eventTime: new Date(e.eventTime) } : e));
  try {
    await client.send(events, job.channel ? { channelName: job.channel } : {});
    return "ok";
  } catch (error) {
    return `${error.statusCode ?? ""} ${error.code ?? ""} ${error.message}`;
  }
}

(async () => {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const jobs = JSON.parse(Buffer.concat(chunks).toString("utf8"));
  process.stdout.write(JSON.stringify(await Promise.all(jobs.map(run))));
})();
