package oidc

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Options describe one issuer. Only URL is required.
//
// Claims are named by their top-level name or, when there is none of that name,
// by a dotted path: realm_access.roles.
type Options struct {
	// URL is the issuer as its tokens and its discovery document spell it. It is
	// https, or http on this machine.
	URL string
	// Audiences are what its tokens have to be made out to, any one of them;
	// without, the audiences of whatever API is called. Tokens with one of these
	// are good for management and for publishing.
	Audiences []string
	// ObjectID is the claim with the object id that roles are assigned to.
	// Default oid. If the token has none there, or no GUID, the object id is
	// [ObjectIDOf] of the issuer and sub.
	ObjectID string
	// Name is the claim with the name shown in logs; by default the first there is
	// of name, preferred_username, email, sub.
	Name string
	// Groups is the claim with the names or object ids of groups, one or a list;
	// default groups. Each is a principal that can be given roles: its object id
	// is the value itself if that is a GUID, else [GroupIDOf].
	Groups string
	// Tenant is the claim with the tenant; default tid. It is only shown.
	Tenant string
	// Algorithms are those accepted of signatures, all asymmetric; default RS256,
	// PS256, ES256 and their longer kin, and EdDSA.
	Algorithms []jose.SignatureAlgorithm
	// Skew is how far the clocks of issuer and server may differ; default 1 min,
	// at most 10.
	Skew time.Duration
}

// Settings are what all issuers share. The zero value is good.
type Settings struct {
	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: discards
	// Transport reaches the issuers; default [http.DefaultTransport].
	Transport http.RoundTripper
}

// asymmetric are the algorithms that need no secret of ours: with one of the
// others, a public key would pass for the secret.
var asymmetric = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

const (
	defaultSkew = time.Minute
	maxSkew     = 10 * time.Minute
)

// ParseOptions reads the form of the command line: the URL, and after it any of
// audience=, oid=, name=, groups=, tenant=, alg=, each after a comma. audience
// and alg may be repeated.
//
//	https://login.example/realms/acme,audience=intertie,groups=realm_access.roles
func ParseOptions(text string) (Options, error) {
	parts := strings.Split(text, ",")
	o := Options{URL: strings.TrimSpace(parts[0])}
	for _, p := range parts[1:] {
		name, value, ok := strings.Cut(strings.TrimSpace(p), "=")
		if !ok || value == "" {
			return Options{}, fmt.Errorf("issuer %s: %q is not NAME=VALUE", o.URL, p)
		}
		switch name {
		case "audience":
			o.Audiences = append(o.Audiences, value)
		case "alg":
			o.Algorithms = append(o.Algorithms, jose.SignatureAlgorithm(value))
		case "oid":
			o.ObjectID = value
		case "name":
			o.Name = value
		case "groups":
			o.Groups = value
		case "tenant":
			o.Tenant = value
		default:
			return Options{}, fmt.Errorf("issuer %s: there is no option %q; known are audience, oid, name, groups, tenant, alg", o.URL, name)
		}
	}
	return o, o.Validate()
}

// Validate says what is wrong with the options, in words for an operator.
func (o Options) Validate() error {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return fmt.Errorf("issuer %q: %w", o.URL, err)
	case u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return fmt.Errorf("issuer %q: it must be a URL such as https://login.example, without a query", o.URL)
	}
	if err := secure(u); err != nil {
		return fmt.Errorf("issuer %q: %w", o.URL, err)
	}
	if o.Skew < 0 || o.Skew > maxSkew {
		return fmt.Errorf("issuer %q: a skew of %s is not between 0 and %s", o.URL, o.Skew, maxSkew)
	}
	for _, a := range o.Algorithms {
		if !slices.Contains(asymmetric, a) {
			return fmt.Errorf("issuer %q: the algorithm %q is not one of %v", o.URL, a, asymmetric)
		}
	}
	return nil
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		value *string
		def   string
	}{{&o.ObjectID, "oid"}, {&o.Groups, "groups"}, {&o.Tenant, "tid"}} {
		if *d.value == "" {
			*d.value = d.def
		}
	}
	if o.Algorithms == nil {
		o.Algorithms = asymmetric
	}
	if o.Skew == 0 {
		o.Skew = defaultSkew
	}
	return o
}

var errPlain = errors.New("keys must come over https; http is for this machine only")

// secure refuses URLs whose answers somebody on the way could replace.
func secure(u *url.URL) error {
	if u.Scheme == "https" {
		return nil
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "http" && (strings.EqualFold(u.Hostname(), "localhost") || ip != nil && ip.IsLoopback()) {
		return nil
	}
	return errPlain
}
