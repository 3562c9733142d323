package oidc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/sync/errgroup"

	"github.com/intertie/intertie/access"
)

// maxToken bounds what is parsed. Tokens with many groups are long.
const maxToken = 16 << 10

// Issuers are the issuers that are accepted. It implements [access.Issuers] and
// is safe for concurrent use.
type Issuers struct {
	now    func() time.Time
	byName map[string]*issuer // by URL without final slashes
}

// issuer is one of them.
type issuer struct {
	opts Options
	keys *keys
}

// New returns the issuers. It reaches for none of them: an issuer that is down
// keeps nothing from starting. The error tells what is wrong with the options.
func New(all []Options, s Settings) (*Issuers, error) {
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	if s.Transport == nil {
		s.Transport = http.DefaultTransport
	}
	is := &Issuers{now: s.Now, byName: make(map[string]*issuer, len(all))}
	for _, o := range all {
		if err := o.Validate(); err != nil {
			return nil, err
		}
		name := trimmed(o.URL)
		if is.byName[name] != nil {
			return nil, fmt.Errorf("issuer %q is there twice", o.URL)
		}
		is.byName[name] = &issuer{opts: o.withDefaults(), keys: newKeys(o.URL, s)}
	}
	return is, nil
}

// Run keeps the keys current until ctx is done. Without it, they are fetched when
// tokens need them.
func (is *Issuers) Run(ctx context.Context) error {
	var g errgroup.Group
	for _, i := range is.byName {
		g.Go(func() error {
			i.keys.keep(ctx)
			return nil
		})
	}
	return g.Wait()
}

// Verify implements [access.Issuers].
//
// It waits for an issuer only when the token names a key of its that is not
// known, and never longer than a few seconds.
func (is *Issuers) Verify(token string, audiences []string) (access.Claims, error) {
	if len(token) > maxToken {
		return access.Claims{}, fmt.Errorf("%w: longer than %d bytes", access.ErrTokenMalformed, maxToken)
	}
	parsed, err := jwt.ParseSigned(token, asymmetric)
	if err != nil {
		return access.Claims{}, fmt.Errorf("%w: not a JWT with an asymmetric signature", access.ErrTokenMalformed)
	}
	var named struct {
		Issuer string `json:"iss"`
	}
	if err := parsed.UnsafeClaimsWithoutVerification(&named); err != nil {
		return access.Claims{}, fmt.Errorf("%w: unreadable claims", access.ErrTokenMalformed)
	}
	i := is.byName[trimmed(named.Issuer)]
	if i == nil {
		return access.Claims{}, access.ErrTokenIssuer
	}
	return i.verify(parsed, token, audiences, is.now())
}

func (i *issuer) verify(parsed *jwt.JSONWebToken, token string, audiences []string, now time.Time) (access.Claims, error) {
	header := parsed.Headers[0]
	if !slices.Contains(i.opts.Algorithms, jose.SignatureAlgorithm(header.Algorithm)) {
		return access.Claims{}, fmt.Errorf("%w: the algorithm %s is not accepted", access.ErrTokenSignature, header.Algorithm)
	}
	candidates, set, err := i.keys.find(header.KeyID, now)
	if err != nil {
		return access.Claims{}, err
	}
	v, ok := set.verified.get(token)
	if !ok {
		if v, err = i.check(parsed, candidates, set.issuer); err != nil {
			return access.Claims{}, err
		}
		set.verified.put(token, v)
	}
	return v.at(now, i.opts, audiences)
}

// check returns what a token says, once its signature holds.
func (i *issuer) check(parsed *jwt.JSONWebToken, candidates []jose.JSONWebKey, name string) (verified, error) {
	for _, key := range candidates {
		if key.Algorithm != "" && key.Algorithm != parsed.Headers[0].Algorithm {
			continue
		}
		var std jwt.Claims
		all := map[string]any{}
		err := parsed.Claims(key.Key, &std, &all)
		switch {
		case errors.Is(err, jose.ErrCryptoFailure) || errors.Is(err, jose.ErrUnsupportedKeyType) || errors.Is(err, jose.ErrUnsupportedAlgorithm):
			continue
		case err != nil:
			return verified{}, fmt.Errorf("%w: unreadable claims", access.ErrTokenMalformed)
		case std.Issuer != name:
			return verified{}, fmt.Errorf("%w: iss is not spelled as the issuer spells it", access.ErrTokenIssuer)
		case std.Expiry == nil || len(std.Audience) == 0 || std.Subject == "":
			return verified{}, fmt.Errorf("%w: exp, aud or sub is missing", access.ErrTokenMalformed)
		}
		return i.opts.read(std, all), nil
	}
	return verified{}, fmt.Errorf("%w: nor by a key of its issuer", access.ErrTokenSignature)
}

func trimmed(u string) string { return strings.TrimRight(u, "/") }
