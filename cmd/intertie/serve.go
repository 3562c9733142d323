package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/intertie/intertie/app"
	"github.com/intertie/intertie/telemetry"
)

// drainTime bounds a stop: what has not finished by then is in durable storage
// and is delivered by the next start.
const drainTime = 30 * time.Second

type serveCmd struct {
	Config configFile `help:"YAML file with these flags' names as keys; environment and flags win over it." placeholder:"FILE" env:"INTERTIE_CONFIG"`

	Data       string `help:"Folder for all data; created on the first start. Default ${default}." default:"${data}" placeholder:"DIR" env:"INTERTIE_DATA"`
	Listen     string `help:"Address for HTTPS: management, sign-in, publish, portal. Default ${default}." default:"${listen}" placeholder:"ADDR" env:"INTERTIE_LISTEN"`
	ListenHTTP string `name:"listen-http" help:"Address for publishing with keys or SAS over plain HTTP. Off unless set." default:"${listen_http}" placeholder:"ADDR" env:"INTERTIE_LISTEN_HTTP"`
	PublicURL  string `name:"public-url" help:"URL by which clients know this server, if not the address it listens on." default:"${public_url}" placeholder:"URL" env:"INTERTIE_PUBLIC_URL"`
	TLSCert    string `name:"tls-cert" help:"PEM certificate chain to serve; without it one is issued by the data folder's own CA." default:"${tls_cert}" placeholder:"FILE" env:"INTERTIE_TLS_CERT"`
	TLSKey     string `name:"tls-key" help:"PEM key of the certificate." default:"${tls_key}" placeholder:"FILE" env:"INTERTIE_TLS_KEY"`

	NATS     string `name:"nats" help:"URL of a NATS cluster with JetStream to keep everything in; without it, in the data folder." default:"${nats}" placeholder:"URL" env:"INTERTIE_NATS"`
	Replicas int    `help:"Copies that the cluster of --nats keeps of everything; 0 leaves them as they are, and makes 3 where there are three servers." default:"${replicas}" placeholder:"N" env:"INTERTIE_REPLICAS"`

	AcceptLoss string `name:"accept-loss" help:"Go on without what the last start has named as missing, under the ID that it gave." placeholder:"ID" env:"INTERTIE_ACCEPT_LOSS"`

	PublishDomain  string `name:"publish-domain" help:"Domain D for endpoints like https://NAME.REGION-1.D/api/events." default:"${publish_domain}" placeholder:"D" env:"INTERTIE_PUBLISH_DOMAIN"`
	Gallery        string `help:"YAML file with the partners that customers find in the gallery; read at the start." placeholder:"FILE" env:"INTERTIE_GALLERY"`
	Limit          limits `help:"Another limit than Azure's, such as topicsPerSubscription=1000; may be repeated." placeholder:"NAME=N" env:"INTERTIE_LIMIT"`
	Regions        names  `help:"Regions to accept, with commas between; any unless set." placeholder:"NAME" env:"INTERTIE_REGIONS"`
	AllowedHosts   names  `name:"allowed-hosts" help:"Host names, besides the obvious ones, by which clients may call this server; with a port (HOST:PORT) if that is not the one it listens on." placeholder:"HOST" env:"INTERTIE_ALLOWED_HOSTS"`
	TrustedProxies names  `name:"trusted-proxies" help:"Addresses or networks of proxies whose forwarding headers are believed." placeholder:"CIDR" env:"INTERTIE_TRUSTED_PROXIES"`
	MasterKeyFile  string `name:"master-key-file" help:"File with the key that seals secrets; without it, a file in the data folder." default:"${master_key_file}" placeholder:"FILE" env:"INTERTIE_MASTER_KEY_FILE"`

	AllowPrivateWebhooks bool     `name:"allow-private-webhooks" help:"Let webhooks be on loopback and private addresses, and use http." env:"INTERTIE_ALLOW_PRIVATE_WEBHOOKS"`
	WebhookCA            string   `name:"webhook-ca" help:"PEM file with further CAs to trust in webhooks." default:"${webhook_ca}" placeholder:"FILE" env:"INTERTIE_WEBHOOK_CA"`
	Bind                 bindings `help:"Address of an Azure resource that is not ours, by its ARM id or the id's beginning; may be repeated." placeholder:"RESOURCEID=URL" env:"INTERTIE_BIND"`

	RetrySchedule    durations     `name:"retry-schedule" help:"For development: delays between attempts, with commas between, instead of Event Grid's 10s,30s,1m,5m,10m,30m,1h,3h,6h,12h." placeholder:"DURATION" env:"INTERTIE_RETRY_SCHEDULE"`
	DeadLetterDelay  time.Duration `name:"dead-letter-delay" help:"For development: time between the last attempt and the dead-letter blob, instead of 5m." placeholder:"DURATION" env:"INTERTIE_DEAD_LETTER_DELAY"`
	ValidationWindow time.Duration `name:"validation-window" help:"For development: time for the manual validation of a webhook, instead of 10m." placeholder:"DURATION" env:"INTERTIE_VALIDATION_WINDOW"`
	RetryNotFound    bool          `name:"retry-webhook-404" help:"Attempt events again that a webhook answered with 404." env:"INTERTIE_RETRY_WEBHOOK_404"`

	WebhookTokenURL         string `name:"webhook-token-url" help:"Token endpoint of the service that signs this server in to webhooks protected by Microsoft Entra; {tenant} stands for their tenant. Without it, the built-in sign-in." placeholder:"URL" env:"INTERTIE_WEBHOOK_TOKEN_URL"`
	WebhookClientID         string `name:"webhook-client-id" help:"Client id at that service." placeholder:"ID" env:"INTERTIE_WEBHOOK_CLIENT_ID"`
	WebhookClientSecretFile string `name:"webhook-client-secret-file" help:"File with the client secret at that service." placeholder:"FILE" env:"INTERTIE_WEBHOOK_CLIENT_SECRET_FILE"`

	WebhookAudiences audiences `name:"webhook-audiences" help:"Application for which webhooks of Azure subscriptions may have tokens, by the ids of these with commas between, or * for all; may be repeated." placeholder:"APPLICATION=SUBSCRIPTIONID" env:"INTERTIE_WEBHOOK_AUDIENCES"`

	IngressEvents int `name:"ingress-events" help:"Events that each topic, domain and partner topic takes in a second (Azure: 5000); unlimited unless set." placeholder:"N" env:"INTERTIE_INGRESS_EVENTS"`
	IngressBytes  int `name:"ingress-bytes" help:"Bytes that each of them takes in a second (Azure: 5000000); unlimited unless set." placeholder:"N" env:"INTERTIE_INGRESS_BYTES"`

	Storage app.StorageLimit `name:"storage-per-subscription" help:"How much may wait for delivery in each Azure subscription before its publishers are refused: bytes such as 20GB, none, or auto, a third of what is free on the disk (in a cluster: none)." default:"auto" placeholder:"SIZE" env:"INTERTIE_STORAGE_PER_SUBSCRIPTION"`

	OIDCIssuers []string `name:"oidc-issuer" sep:"none" help:"Issuer of tokens beside this server: URL[,audience=A][,oid=CLAIM][,name=CLAIM][,groups=CLAIM][,tenant=T][,alg=A]; may be repeated." placeholder:"URL" env:"INTERTIE_OIDC_ISSUER"`

	StopGrace time.Duration `name:"stop-grace" help:"How long a server that is to stop answers 503 before it closes its listeners. Default ${default}." default:"1s" placeholder:"DURATION" env:"INTERTIE_STOP_GRACE"`

	Profile string `help:"Loopback address that serves runtime profiles, for finding out what the server is busy with." hidden:"" placeholder:"ADDR" env:"INTERTIE_PROFILE"`

	LogFormat string `name:"log-format" help:"Form of the log on stderr: text, json, or auto (text for a terminal)." enum:"text,json,auto" default:"text" env:"INTERTIE_LOG_FORMAT"`
	LogLevel  string `name:"log-level" help:"Least level to log: debug, info, warn or error." enum:"debug,info,warn,error" default:"info" env:"INTERTIE_LOG_LEVEL"`
}

// serveDefaults fills the ${…} of the tags above, so that package app is the
// only place that knows the defaults.
func serveDefaults(o app.Options) kong.Vars {
	return kong.Vars{
		"data": o.Data, "listen": o.Listen, "listen_http": o.ListenHTTP, "public_url": o.PublicURL,
		"tls_cert": o.TLSCert, "tls_key": o.TLSKey, "nats": o.NATS, "replicas": strconv.Itoa(o.Replicas),
		"publish_domain": o.PublishDomain, "master_key_file": o.MasterKeyFile, "webhook_ca": o.WebhookCA,
	}
}

// options are what package app gets; the logger is the caller's to set.
func (c *serveCmd) options() app.Options {
	o := app.DefaultOptions()
	o.Data, o.Listen, o.ListenHTTP, o.PublicURL = c.Data, c.Listen, c.ListenHTTP, c.PublicURL
	o.TLSCert, o.TLSKey = c.TLSCert, c.TLSKey
	o.NATS, o.Replicas, o.PublishDomain = c.NATS, c.Replicas, c.PublishDomain
	o.AcceptLoss = c.AcceptLoss
	o.MasterKeyFile, o.AllowPrivateWebhooks, o.WebhookCA = c.MasterKeyFile, c.AllowPrivateWebhooks, c.WebhookCA
	o.Regions, o.AllowedHosts, o.TrustedProxies = c.Regions, c.AllowedHosts, c.TrustedProxies
	o.Bind, o.Version, o.Profile = c.Bind, version(), c.Profile
	o.RetrySchedule, o.DeadLetterDelay, o.ValidationWindow = c.RetrySchedule, c.DeadLetterDelay, c.ValidationWindow
	o.RetryNotFound, o.OIDCIssuers = c.RetryNotFound, c.OIDCIssuers
	o.IngressEvents, o.IngressBytes, o.Storage = c.IngressEvents, c.IngressBytes, c.Storage
	o.Gallery, o.StopGrace = c.Gallery, c.StopGrace
	for name, value := range c.Limit {
		_ = app.SetLimit(&o.Limits, name, value) // limits.Decode has tried it
	}
	o.WebhookAudiences = c.WebhookAudiences
	o.WebhookTokens = app.WebhookTokens{URL: c.WebhookTokenURL, ClientID: c.WebhookClientID, ClientSecretFile: c.WebhookClientSecretFile}
	return o
}

// Run serves until a signal or a failure.
func (c *serveCmd) Run(ctx context.Context, s streams) error {
	defer tuneMemory()()
	o := c.options()
	o.Logger = c.logger(s.err)
	if err := o.Validate(); err != nil {
		return usageError{err}
	}
	slog.SetDefault(o.Logger) // for what libraries have to say
	if os.Geteuid() == 0 {
		o.Logger.Warn("running as root: a fault of this program would be one of the whole machine; use an account of its own, which owns the data folder")
	}
	_, err := os.Stat(filepath.Join(o.Data, "admin.env"))
	first := errors.Is(err, fs.ErrNotExist)

	server, err := app.New(o)
	if err != nil {
		return err
	}
	err = server.Start(ctx)
	if err == nil {
		settleMemory()
		c.announce(s.err, o, server, first)
		select {
		case <-ctx.Done():
			o.Logger.Info("draining", "at most", drainTime)
		case <-server.Done():
			err = server.Err()
		}
	} else if ctx.Err() != nil {
		err = nil // stopped by a signal before it was ready: nothing went wrong
	}
	if errors.Is(err, app.ErrStorage) {
		return err // at once: what is under way may never come back
	}
	draining, done := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer done()
	if serr := server.Stop(draining); serr != nil && err == nil {
		err = fmt.Errorf("stopping: %w", serr)
	}
	if err == nil {
		o.Logger.Info("stopped")
	}
	return err
}

func (c *serveCmd) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // kong has checked it
	return telemetry.NewLogger(w, telemetry.LogOptions{Format: telemetry.Format(c.LogFormat), Level: level})
}

// announce says where the server is: to a person at a terminal, and to whoever
// starts it for the first time, in words; otherwise as a log record.
func (c *serveCmd) announce(w io.Writer, o app.Options, server *app.App, first bool) {
	if !first && !telemetry.IsTerminal(w) || c.LogFormat == string(telemetry.JSON) {
		o.Logger.Info("ready", "url", server.URL(), "http", server.HTTPURL(), "data", o.Data)
		return
	}
	folder := o.Data
	if abs, err := filepath.Abs(folder); err == nil {
		folder = abs
	}
	if first {
		folder += "  (new)"
	}
	envFile := filepath.Join(o.Data, "admin.env")
	if !strings.ContainsRune(envFile, filepath.Separator) {
		envFile = "./" + envFile // the shell's dot command looks into PATH otherwise
	}
	fmt.Fprintf(w, "\nIntertie is ready at %s\n\n", server.URL())
	if server.HTTPURL() != "" {
		fmt.Fprintf(w, "  plain HTTP   %s  (publishing with keys and SAS)\n", server.HTTPURL())
	}
	fmt.Fprintf(w, "  data         %s\n", folder)
	fmt.Fprintf(w, "  Azure SDKs   . %s\n", envFile)
	fmt.Fprintf(w, "  az           intertie env --data %s\n", o.Data)
	fmt.Fprintf(w, "  try next     intertie demo      a partner, two customers, a stream of events\n")
	fmt.Fprintf(w, "               intertie listen    a webhook receiver that prints what it gets\n\n")
}
