package app

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/intertie/intertie/destination/blob"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/publish"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/signin/oidc"
)

// Options are the settings of a server. [DefaultOptions] are good for a laptop.
type Options struct {
	// Data is the folder for everything durable, created on the first start.
	Data string
	// Listen is the HTTPS address: management, sign-in, publish.
	Listen string
	// ListenHTTP, if set, is a plain HTTP address for publishing with keys or SAS.
	ListenHTTP string
	// PublicURL is how clients reach the server when it is not by Listen.
	PublicURL string
	// TLSCert and TLSKey are PEM files; without them a certificate of the local
	// CA in Data is used.
	TLSCert, TLSKey string
	// NATS is the URL of an external NATS with JetStream; empty keeps everything in
	// Data.
	NATS string
	// Replicas that a NATS cluster keeps of everything; 0 leaves them as they are.
	Replicas int
	// AcceptLoss is the ID of a loss that the last start has named and a person has
	// read: this one goes on without what is missing.
	AcceptLoss string
	// PublishDomain D makes publish endpoints host-style: NAME.REGION-1.D.
	PublishDomain string
	// MasterKeyFile seals secrets; by default a file in Data.
	MasterKeyFile string
	// AllowPrivateWebhooks lets webhooks be on loopback and private addresses
	// and use http.
	AllowPrivateWebhooks bool
	// WebhookCA is a PEM file with further authorities for webhooks.
	WebhookCA string
	// Bind maps the ARM id, or the beginning of ids, of Azure resources that
	// are not ours to addresses, such as file:///var/deadletters.
	Bind map[string]string
	// RetrySchedule replaces Event Grid's delays between attempts; the last one
	// repeats. With it, a team can test in seconds what takes hours otherwise.
	RetrySchedule []time.Duration
	// DeadLetterDelay and ValidationWindow replace Event Grid's 5 and 10 minutes;
	// 0 keeps them.
	DeadLetterDelay, ValidationWindow time.Duration
	// RetryNotFound attempts events again that a webhook answered with 404.
	RetryNotFound bool
	// WebhookTokens is where tokens for webhooks come from that are protected by
	// Microsoft Entra; the zero value takes them from the built-in sign-in.
	WebhookTokens WebhookTokens
	// WebhookAudiences lists the applications for which webhooks may have tokens, each
	// with the ids of the Azure subscriptions that may name it; "*" is all. Those of the
	// built-in sign-in that are not listed belong to the subscription that names them
	// first.
	WebhookAudiences map[string][]string
	// IngressEvents and IngressBytes limit what each topic, domain and partner
	// topic takes in a second; 0 does not. Azure has 5,000 and 5 MB.
	IngressEvents, IngressBytes int
	// Storage is how much each Azure subscription may keep waiting.
	Storage StorageLimit
	// OIDCIssuers are issuers of tokens beside this server, each as
	// "URL[,audience=A][,oid=CLAIM][,name=CLAIM][,groups=CLAIM][,tenant=T][,alg=A]".
	OIDCIssuers []string
	// Regions limits where regional resources may be created; empty allows any.
	Regions []string
	// Limits replaces Azure's limits where it is not zero; see [SetLimit].
	Limits eventgrid.Limits
	// Gallery is a YAML file with the partners of the gallery. Empty removes those
	// that an earlier file brought.
	Gallery string
	// AllowedHosts are further names by which clients may call the server, each with
	// a port if that is another one as well.
	AllowedHosts []string
	// TrustedProxies are addresses or networks whose X-Forwarded-For and
	// X-Forwarded-Proto are believed.
	TrustedProxies []string
	// Profile is a loopback address that serves runtime profiles; empty serves
	// none. A heap profile holds secrets, so it is off by default.
	Profile string
	// StopGrace is for how long a server that is to stop answers 503 with Retry-After
	// before it closes its listeners; less than 5 s.
	StopGrace time.Duration
	// Logger receives everything worth telling; nil discards it.
	Logger *slog.Logger
	// Version is shown in the metrics.
	Version string
}

// WebhookTokens names an OAuth 2.0 client of another token service, with which
// this server signs in to webhooks.
type WebhookTokens struct {
	// URL is the token endpoint; "{tenant}" in it stands for the tenant that the
	// event subscription names.
	URL      string
	ClientID string
	// ClientSecretFile holds the secret on one line.
	ClientSecretFile string
}

func (w WebhookTokens) validate() error {
	if w == (WebhookTokens{}) {
		return nil
	}
	u, err := url.Parse(w.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("--webhook-token-url %q is not a URL like https://login.example.com/{tenant}/oauth2/v2.0/token", w.URL)
	}
	if w.ClientID == "" || w.ClientSecretFile == "" {
		return errors.New("--webhook-token-url needs --webhook-client-id and --webhook-client-secret-file")
	}
	return nil
}

// Bounds of the development settings: a delay beyond a day would outlive every
// event.
const longestDelay = 24 * time.Hour

// longestGrace leaves a stop time for deliveries.
const longestGrace = stepLimit

func (o Options) validateDelays() error {
	if o.StopGrace < 0 || o.StopGrace >= longestGrace {
		return fmt.Errorf("--stop-grace is %v: it must be less than %v", o.StopGrace, longestGrace)
	}
	for _, d := range o.RetrySchedule {
		if d < time.Millisecond || d > longestDelay {
			return fmt.Errorf("--retry-schedule holds %v: each delay must be between 1ms and 24h", d)
		}
	}
	for _, f := range []struct {
		flag  string
		value time.Duration
	}{{"--dead-letter-delay", o.DeadLetterDelay}, {"--validation-window", o.ValidationWindow}} {
		if f.value != 0 && (f.value < time.Millisecond || f.value > longestDelay) {
			return fmt.Errorf("%s is %v: it must be between 1ms and 24h", f.flag, f.value)
		}
	}
	return nil
}

// DefaultOptions returns the options of a start without any flag.
func DefaultOptions() Options {
	return Options{Data: "./intertie-data", Listen: "127.0.0.1:8443"}
}

// Validate returns the first thing that is wrong, naming the flag.
func (o Options) Validate() error {
	switch {
	case o.Data == "":
		return errors.New("--data is empty: name a folder")
	case (o.TLSCert == "") != (o.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key go together: one of them is missing")
	case o.Replicas < 0 || o.Replicas > 5:
		return fmt.Errorf("--replicas is %d: JetStream allows 1 to 5, and 0 leaves them as they are", o.Replicas)
	case o.Replicas > 0 && o.NATS == "":
		return fmt.Errorf("--replicas %d needs a cluster: set --nats", o.Replicas)
	case o.AcceptLoss != "" && o.NATS != "":
		return errors.New("--accept-loss is for what lies in the data folder, not in the cluster of --nats")
	}
	if _, _, err := net.SplitHostPort(o.Listen); err != nil {
		return fmt.Errorf("--listen %q is not an address like 127.0.0.1:8443", o.Listen)
	}
	if o.ListenHTTP != "" {
		if _, _, err := net.SplitHostPort(o.ListenHTTP); err != nil {
			return fmt.Errorf("--listen-http %q is not an address like 127.0.0.1:8080", o.ListenHTTP)
		}
	}
	if o.PublicURL != "" {
		u, err := url.Parse(o.PublicURL)
		if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			return fmt.Errorf("--public-url %q is not a URL like https://events.example.com (https, no path)", o.PublicURL)
		}
	}
	if o.Profile != "" {
		if addr, err := netip.ParseAddrPort(o.Profile); err != nil || !addr.Addr().IsLoopback() {
			return fmt.Errorf("--profile %q is not a loopback address like 127.0.0.1:6060", o.Profile)
		}
	}
	if err := o.validateDelays(); err != nil {
		return err
	}
	if err := o.WebhookTokens.validate(); err != nil {
		return err
	}
	if err := o.validateAudiences(); err != nil {
		return err
	}
	if o.IngressEvents < 0 || o.IngressBytes < 0 || o.IngressBytes > 0 && o.IngressBytes < publish.DefaultMaxBody {
		return fmt.Errorf("--ingress-events and --ingress-bytes are %d and %d: they cannot be negative, and %d bytes, the largest request, must fit",
			o.IngressEvents, o.IngressBytes, publish.DefaultMaxBody)
	}
	if _, err := o.issuers(oidc.Settings{}); err != nil {
		return err
	}
	if _, err := o.trustedProxies(); err != nil {
		return err
	}
	_, err := o.bindings()
	return err
}

func (o Options) trustedProxies() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range o.TrustedProxies {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, aerr := netip.ParseAddr(s)
			if aerr != nil {
				return nil, fmt.Errorf("--trusted-proxies %q is not an address or network like 10.0.0.0/8", s)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// issuers returns what verifies the tokens of the issuers beside this server.
func (o Options) issuers(s oidc.Settings) (*oidc.Issuers, error) {
	var all []oidc.Options
	for _, text := range o.OIDCIssuers {
		i, err := oidc.ParseOptions(text)
		if err != nil {
			return nil, fmt.Errorf("--oidc-issuer %s: %w", text, err)
		}
		all = append(all, i)
	}
	return oidc.New(all, s)
}

// binding gives storage accounts that are not ours a real place.
type binding struct {
	prefix string // lower-case ARM id
	store  blob.Store
}

func (o Options) bindings() ([]binding, error) {
	var out []binding
	for id, address := range o.Bind {
		if _, err := resource.ParsePath(id); err != nil || !strings.HasPrefix(id, "/") {
			return nil, fmt.Errorf("--bind: the part before '=' is not the id of an Azure resource: %q", id)
		}
		st, err := storeAt(address)
		if err != nil {
			// The address may hold a key, so it is not repeated.
			return nil, fmt.Errorf("--bind %s: %w; use file:///folder, the connection string of a storage account, or its URL with a shared access signature", id, err)
		}
		out = append(out, binding{prefix: strings.ToLower(strings.TrimRight(id, "/")), store: st})
	}
	return out, nil
}

// storeAt returns the store behind an address.
func storeAt(address string) (blob.Store, error) {
	if !strings.HasPrefix(address, "file:") {
		return blob.NewAzure(blob.AzureOptions{Address: address})
	}
	u, err := url.Parse(address)
	if err != nil || u.Path == "" || u.Host != "" {
		return nil, errors.New("the folder is not written like file:///var/deadletters")
	}
	return blob.NewDirectory(filepath.FromSlash(u.Path)), nil
}
