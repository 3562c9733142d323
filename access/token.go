package access

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// What can be wrong with a bearer token. Errors of [Tokens.Verify] match
// exactly one of them by [errors.Is]. All but ErrIssuerDown are a 401;
// ErrTokenExpired is the one a client heals by itself.
var (
	ErrTokenMalformed = errors.New("malformed token")
	ErrTokenSignature = errors.New("token was not signed by this server")
	ErrTokenExpired   = errors.New("expired token")
	ErrTokenEarly     = errors.New("token is not valid yet")
	ErrTokenAudience  = errors.New("token is for another audience")
	ErrTokenRevoked   = errors.New("token belongs to a principal that may not sign in any more")
	// ErrTokenIssuer is a token of an issuer that nobody here has heard of, and
	// ErrIssuerDown one that cannot be checked now: its issuer does not tell its
	// keys. The latter heals without the client.
	ErrTokenIssuer = errors.New("token is from an issuer that is not accepted")
	ErrIssuerDown  = errors.New("issuer of the token cannot be asked for its keys")
)

const (
	// signingKeyBits is what Entra signs with.
	signingKeyBits = 2048
	// defaultLifetime is Entra's, near enough; clients renew 5 minutes before.
	defaultLifetime = time.Hour
	// tokenSkew is how far the clock of a client may be ahead of ours.
	tokenSkew = 5 * time.Minute
	// maxTokenLength bounds what is parsed. Ours are below 1 KiB.
	maxTokenLength = 16 << 10
)

// Subject is the principal a token is issued to.
type Subject struct {
	ObjectID string // what roles are assigned to
	AppID    string // client id, shown in error texts
	Tenant   string
	Name     string // display name
	// Role is an application role that the audience looks for; mostly empty.
	Role string
}

// Principals finds principals of this server by object id, in any letter case.
type Principals interface {
	ByObjectID(objectID string) (ServicePrincipal, bool)
}

// Issuers verifies tokens that others issued.
type Issuers interface {
	// Verify is [Tokens.Verify] for a token of another issuer. One of an issuer
	// that it does not know is [ErrTokenIssuer].
	Verify(token string, audiences []string) (Claims, error)
}

// Claims is what a verified token says.
type Claims struct {
	Subject
	Groups   []string // object ids of the groups the subject is in; only issuers elsewhere name any
	Audience string
	Issuer   string
	ID       string // unique token identifier
	IssuedAt time.Time
	Expires  time.Time
	External bool // the token is of another issuer than this server

	notBefore time.Time
}

// Map returns the claims under the names and in the text form that tokens have
// them, for showing: it never holds the token or its signature. Claims without
// a value are left out.
func (c Claims) Map() map[string]string {
	m := map[string]string{}
	for name, value := range map[string]string{
		"aud": c.Audience, "iss": c.Issuer, "tid": c.Tenant, "oid": c.ObjectID, "sub": c.ObjectID, "appid": c.AppID,
		"app_displayname": c.Name, "uti": c.ID,
	} {
		if value != "" {
			m[name] = value
		}
	}
	for name, at := range map[string]time.Time{"iat": c.IssuedAt, "nbf": c.notBefore, "exp": c.Expires} {
		if !at.IsZero() {
			m[name] = strconv.FormatInt(at.Unix(), 10)
		}
	}
	return m
}

// TokenOptions configures [NewTokens]. The zero value is good.
type TokenOptions struct {
	Lifetime time.Duration    // of issued tokens; default 1 h
	Now      func() time.Time // default time.Now
	// Directory holds the principals that tokens are issued to; a token of one
	// that may not sign in any more is refused, and one of another issuer that
	// names a principal found here as well. nil: principals last as long as their
	// tokens. See [Tokens.Forget].
	Directory Principals
	// External verifies tokens that this server did not issue; nil: there are
	// none.
	External Issuers
	// CacheSize bounds how many verified tokens are remembered; default 4096,
	// about 2 MiB when full. Negative: none, every call checks the signature.
	CacheSize int
}

// Tokens issues bearer tokens and verifies them. They are JWTs signed with
// RS256, which is what consumers of Entra tokens accept. It is safe for
// concurrent use.
type Tokens struct {
	opts   TokenOptions
	signer jose.Signer
	public map[string]*rsa.PublicKey // by key id
	jwks   []byte
	cache  *claimsCache
}

// NewSigningKey makes a private key for [NewTokens], as PKCS #8 in PEM. The
// caller keeps it over restarts and shares it between nodes: clients hold on to
// their tokens, az even across processes.
func NewSigningKey() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, signingKeyBits)
	if err != nil {
		return nil, fmt.Errorf("generate signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode signing key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// NewTokens takes the signing keys in the order they were made: the last one
// signs, all of them verify. To rotate, append a key, and drop the first one
// when the tokens it signed have expired.
func NewTokens(keysPEM [][]byte, opts TokenOptions) (*Tokens, error) {
	if len(keysPEM) == 0 {
		return nil, errors.New("tokens: no signing key")
	}
	if opts.Lifetime <= 0 {
		opts.Lifetime = defaultLifetime
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	t := &Tokens{opts: opts, public: make(map[string]*rsa.PublicKey, len(keysPEM)), cache: newClaimsCache(opts.CacheSize)}
	var set jose.JSONWebKeySet
	for i, p := range keysPEM {
		key, err := parseSigningKey(p)
		if err != nil {
			return nil, fmt.Errorf("tokens: signing key %d: %w", i+1, err)
		}
		pub := jose.JSONWebKey{Key: &key.PublicKey, Algorithm: string(jose.RS256), Use: "sig"}
		sum, err := pub.Thumbprint(crypto.SHA256)
		if err != nil {
			return nil, fmt.Errorf("tokens: thumbprint of signing key %d: %w", i+1, err)
		}
		pub.KeyID = base64.RawURLEncoding.EncodeToString(sum)
		if t.public[pub.KeyID] == nil {
			set.Keys = append(set.Keys, pub)
		}
		t.public[pub.KeyID] = &key.PublicKey
		if i == len(keysPEM)-1 {
			t.signer, err = jose.NewSigner(jose.SigningKey{
				Algorithm: jose.RS256,
				Key:       jose.JSONWebKey{Key: key, KeyID: pub.KeyID},
			}, (&jose.SignerOptions{}).WithType("JWT"))
			if err != nil {
				return nil, fmt.Errorf("tokens: signer: %w", err)
			}
		}
	}
	var err error
	if t.jwks, err = json.Marshal(set); err != nil {
		return nil, fmt.Errorf("tokens: encode key set: %w", err)
	}
	return t, nil
}

func parseSigningKey(p []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(p)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("not a PKCS #8 private key in PEM")
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := k.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("want an RSA key, not %T", k)
	}
	if key.N.BitLen() < signingKeyBits {
		return nil, fmt.Errorf("RSA key of %d bits is shorter than %d", key.N.BitLen(), signingKeyBits)
	}
	return key, nil
}

// JWKS returns the public keys as a JSON Web Key Set. The caller must not
// change it.
func (t *Tokens) JWKS() []byte { return t.jwks }

// tokenClaims is the payload on the wire, with Entra's names.
type tokenClaims struct {
	jwt.Claims
	Tenant   string `json:"tid"`
	ObjectID string `json:"oid"`
	AppID    string `json:"appid"`
	Party    string `json:"azp"`
	Name     string `json:"app_displayname,omitempty"`
	IDType   string `json:"idtyp"`
	Version  string `json:"ver"`
	UTI      string `json:"uti"`
	// Roles is where Entra puts application roles.
	Roles []string `json:"roles,omitempty"`
}

// Issue makes a token for s that names audience and issuer, and says how long
// it is valid from now.
func (t *Tokens) Issue(s Subject, audience, issuer string, now time.Time) (token string, expiresIn time.Duration, err error) {
	version := "1.0"
	if strings.HasSuffix(strings.TrimRight(issuer, "/"), "/v2.0") {
		version = "2.0"
	}
	var uti [16]byte
	rand.Read(uti[:])
	var roles []string
	if s.Role != "" {
		roles = []string{s.Role}
	}
	token, err = jwt.Signed(t.signer).Claims(tokenClaims{
		Roles: roles,
		Claims: jwt.Claims{
			Issuer:    issuer,
			Subject:   s.ObjectID,
			Audience:  jwt.Audience{audience},
			IssuedAt:  jwt.NewNumericDate(now),
			NotBefore: jwt.NewNumericDate(now),
			Expiry:    jwt.NewNumericDate(now.Add(t.opts.Lifetime)),
		},
		Tenant: s.Tenant, ObjectID: s.ObjectID, AppID: s.AppID, Party: s.AppID, Name: s.Name,
		IDType: "app", Version: version, UTI: base64.RawURLEncoding.EncodeToString(uti[:]),
	}).Serialize()
	if err != nil {
		return "", 0, fmt.Errorf("sign token: %w", err)
	}
	return token, t.opts.Lifetime, nil
}

// Verify checks that this server or one of [TokenOptions.External] issued token,
// that it is valid now, and that it is made out to one of audiences. Errors match
// one of the ErrToken values and never repeat the token.
//
// The key id says who is asked first, so other issuers cost our own tokens
// nothing. Of our own ones the issuer is not compared: it follows the host name
// the client used, and the signature says who issued the token. Nor is it compared
// when they begin: that is always when they were issued, by a clock that may have been
// ahead, and clients keep a token as long as it says that it is good.
func (t *Tokens) Verify(token string, audiences []string) (Claims, error) {
	c, foreign, err := t.authentic(token)
	if foreign {
		return t.external(token, audiences, err)
	}
	if err != nil {
		return Claims{}, err
	}
	now := t.opts.Now()
	if !now.Before(c.Expires) {
		return Claims{}, fmt.Errorf("%w: since %s", ErrTokenExpired, c.Expires.UTC().Format(time.RFC3339))
	}
	if !audienceIn(c.Audience, audiences) {
		return Claims{}, fmt.Errorf("%w: %q", ErrTokenAudience, c.Audience)
	}
	return c, nil
}

// external verifies a token that is not ours; ours is the error if nobody else
// knows it either.
//
// Another issuer speaks for its own principals only. If it names one of this
// server's, as the subject or as a group, it would give away rights that were
// assigned to somebody it does not know.
func (t *Tokens) external(token string, audiences []string, ours error) (Claims, error) {
	if t.opts.External == nil {
		return Claims{}, ours
	}
	c, err := t.opts.External.Verify(token, audiences)
	switch {
	case errors.Is(err, ErrTokenIssuer):
		return Claims{}, ours
	case err != nil:
		return Claims{}, err
	}
	c.External = true
	if t.opts.Directory == nil {
		return c, nil
	}
	if _, known := t.opts.Directory.ByObjectID(c.ObjectID); known {
		return Claims{}, fmt.Errorf("%w: it names a principal of this server", ErrTokenSignature)
	}
	c.Groups = slices.DeleteFunc(slices.Clone(c.Groups), func(g string) bool {
		_, known := t.opts.Directory.ByObjectID(g)
		return known
	})
	return c, nil
}

// Forget makes the next use of every token ask the directory again. It is to be
// called when a principal was deleted or disabled; when it returns, no token of
// that principal is accepted any more.
func (t *Tokens) Forget() { t.cache.forget() }

// authentic returns the claims of a token we signed, whatever they say. An RSA
// check costs far more than a publish has left, so tokens that passed once are
// remembered; time and audience are judged anew on every call. foreign is set
// with an error when somebody else may have issued the token.
func (t *Tokens) authentic(token string) (c Claims, foreign bool, err error) {
	if len(token) > maxTokenLength {
		return Claims{}, false, fmt.Errorf("%w: longer than %d bytes", ErrTokenMalformed, maxTokenLength)
	}
	id := cacheKey(token)
	if c, ok := t.cache.get(id); ok {
		return c, false, nil
	}
	generation := t.cache.now()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return Claims{}, true, fmt.Errorf("%w: not a JWT signed with RS256", ErrTokenMalformed)
	}
	key := t.public[parsed.Headers[0].KeyID]
	if key == nil {
		return Claims{}, true, fmt.Errorf("%w: unknown key id", ErrTokenSignature)
	}
	var w tokenClaims
	if err := parsed.Claims(key, &w); err != nil {
		if errors.Is(err, jose.ErrCryptoFailure) {
			return Claims{}, false, ErrTokenSignature
		}
		return Claims{}, false, fmt.Errorf("%w: unreadable claims", ErrTokenMalformed)
	}
	if w.Expiry == nil || len(w.Audience) != 1 || w.ObjectID == "" {
		return Claims{}, false, fmt.Errorf("%w: exp, aud or oid is missing", ErrTokenMalformed)
	}
	c = Claims{
		Subject:  Subject{ObjectID: w.ObjectID, AppID: w.AppID, Tenant: w.Tenant, Name: w.Name},
		Audience: w.Audience[0], Issuer: w.Issuer, ID: w.UTI,
		IssuedAt: w.IssuedAt.Time(), Expires: w.Expiry.Time(), notBefore: w.NotBefore.Time(),
	}
	if d := t.opts.Directory; d != nil {
		if p, ok := d.ByObjectID(c.ObjectID); !ok || !p.MaySignIn() {
			return Claims{}, false, ErrTokenRevoked
		}
	}
	t.cache.put(id, c, generation)
	return c, false, nil
}
