package access

import (
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // x5t is a SHA-1 thumbprint by definition; it only picks the certificate
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
)

// What can be wrong with a client assertion. Errors of
// [ServicePrincipal.VerifyAssertion] match exactly one of them.
var (
	ErrAssertionMalformed = errors.New("malformed client assertion")
	ErrAssertionSignature = errors.New("client assertion was not signed with a certificate of this client")
	ErrAssertionClient    = errors.New("client assertion is from another client")
	ErrAssertionAudience  = errors.New("client assertion is for another audience")
	ErrAssertionTime      = errors.New("client assertion is not within its valid time range")
)

const (
	// maxAssertionLength leaves room for a certificate chain in x5c.
	maxAssertionLength = 64 << 10
	// maxAssertionLife is how far ahead an assertion may expire. Azure's clients
	// choose 10 minutes, people who sign by hand an hour.
	maxAssertionLife = time.Hour
)

// Certificate is a certificate whose key may sign a principal's assertions. It
// is trusted because it is listed, so nobody has to have issued it.
type Certificate struct {
	KeyID       string // GUID
	PEM         []byte
	DisplayName string
	Start, End  time.Time // validity of the certificate
}

// NewCertificate reads the first certificate of a PEM text, which may hold a
// key as well (az makes such files); the key is not kept. Only RSA keys of at
// least 2048 bits can sign what Azure's clients send.
func NewCertificate(pemText []byte, displayName string) (Certificate, error) {
	for block, rest := pem.Decode(pemText); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			// Its text goes to clients, and names types of Go's parsers.
			return Certificate{}, errors.New("parse certificate: the CERTIFICATE block is no X.509 certificate")
		}
		if _, err := assertionKey(cert); err != nil {
			return Certificate{}, err
		}
		return Certificate{
			KeyID: uuid.NewString(), DisplayName: displayName, Start: cert.NotBefore.UTC(), End: cert.NotAfter.UTC(),
			PEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}),
		}, nil
	}
	return Certificate{}, errors.New("parse certificate: no CERTIFICATE block in PEM")
}

func assertionKey(cert *x509.Certificate) (*rsa.PublicKey, error) {
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("certificate has a %s key, want RSA", cert.PublicKeyAlgorithm)
	}
	if key.N.BitLen() < signingKeyBits {
		return nil, fmt.Errorf("certificate has an RSA key of %d bits, want at least %d", key.N.BitLen(), signingKeyBits)
	}
	return key, nil
}

// VerifyAssertion checks a JWT by which the client proves that it holds the key
// of one of p's certificates: signed with RS256 or PS256, from p to itself, made
// out to one of tokenEndpoints, and valid at now and for an hour at most, give or
// take 5 minutes. It does not remember assertions: see [Assertions].
func (p ServicePrincipal) VerifyAssertion(assertion string, tokenEndpoints []string, now time.Time) (Assertion, error) {
	if len(assertion) > maxAssertionLength {
		return Assertion{}, fmt.Errorf("%w: longer than %d bytes", ErrAssertionMalformed, maxAssertionLength)
	}
	parsed, err := jwt.ParseSigned(assertion, []jose.SignatureAlgorithm{jose.RS256, jose.PS256})
	if err != nil {
		return Assertion{}, fmt.Errorf("%w: not a JWT signed with RS256 or PS256", ErrAssertionMalformed)
	}
	c, id, err := p.assertionClaims(parsed, now)
	if err != nil {
		return Assertion{}, err
	}
	if !strings.EqualFold(c.Issuer, p.AppID) || !strings.EqualFold(c.Subject, p.AppID) {
		return Assertion{}, fmt.Errorf("%w: iss and sub must be the client id", ErrAssertionClient)
	}
	if err := checkAssertionTime(c, now); err != nil {
		return Assertion{}, err
	}
	for _, aud := range c.Audience {
		if audienceIn(aud, tokenEndpoints) {
			return Assertion{Client: p.AppID, ID: id, Expires: c.Expiry.Time()}, nil
		}
	}
	return Assertion{}, fmt.Errorf("%w: aud must be the URL of the token endpoint", ErrAssertionAudience)
}

func checkAssertionTime(c jwt.Claims, now time.Time) error {
	// A leeway above the lifetime clients choose (10 minutes) would be useless,
	// none at all would refuse every client whose clock is a second ahead.
	if c.Expiry == nil {
		return fmt.Errorf("%w: no exp", ErrAssertionMalformed)
	}
	if now.Add(-tokenSkew).After(c.Expiry.Time()) {
		return fmt.Errorf("%w: expired at %s", ErrAssertionTime, c.Expiry.Time().UTC().Format(time.RFC3339))
	}
	if now.Add(maxAssertionLife + tokenSkew).Before(c.Expiry.Time()) {
		return fmt.Errorf("%w: expires later than %v from now", ErrAssertionTime, maxAssertionLife)
	}
	for _, d := range []*jwt.NumericDate{c.NotBefore, c.IssuedAt} {
		if d != nil && now.Add(tokenSkew).Before(d.Time()) {
			return fmt.Errorf("%w: not before %s", ErrAssertionTime, d.Time().UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// assertionClaims returns the claims once the signature holds, and the hash of all
// of them. What is signed names an assertion: its text can be spelled in many ways.
func (p ServicePrincipal) assertionClaims(parsed *jwt.JSONWebToken, now time.Time) (jwt.Claims, [sha256.Size]byte, error) {
	var none [sha256.Size]byte
	var expired error
	for _, stored := range p.Certificates {
		block, _ := pem.Decode(stored.PEM)
		if block == nil {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil || !namesCertificate(parsed.Headers[0], cert) {
			continue
		}
		key, err := assertionKey(cert)
		if err != nil {
			continue
		}
		var c jwt.Claims
		var all json.RawMessage
		if err := parsed.Claims(key, &c, &all); err != nil {
			if errors.Is(err, jose.ErrCryptoFailure) {
				continue
			}
			return jwt.Claims{}, none, fmt.Errorf("%w: unreadable claims", ErrAssertionMalformed)
		}
		if now.Add(tokenSkew).Before(cert.NotBefore) || now.After(cert.NotAfter) {
			expired = fmt.Errorf("%w: certificate is valid from %s to %s", ErrAssertionTime,
				cert.NotBefore.UTC().Format(time.RFC3339), cert.NotAfter.UTC().Format(time.RFC3339))
			continue
		}
		return c, sha256.Sum256(all), nil
	}
	if expired != nil {
		return jwt.Claims{}, none, expired
	}
	return jwt.Claims{}, none, ErrAssertionSignature
}

// namesCertificate reports whether the header's thumbprints are those of cert.
// A header without any fits every certificate: the signature decides then.
func namesCertificate(h jose.Header, cert *x509.Certificate) bool {
	s1 := sha1.Sum(cert.Raw) //nolint:gosec // see the import
	s256 := sha256.Sum256(cert.Raw)
	for name, sum := range map[jose.HeaderKey][]byte{"x5t": s1[:], "x5t#S256": s256[:]} {
		v, ok := h.ExtraHeaders[name]
		if !ok {
			continue
		}
		if text, _ := v.(string); !isThumbprint(text, sum) {
			return false
		}
	}
	return true
}

// toBase64URL maps the other base64 alphabet onto the one of URLs.
var toBase64URL = strings.NewReplacer("+", "-", "/", "_", "=", "")

// isThumbprint takes what clients write: base64url as the standard has it,
// plain base64 with padding as Microsoft's library for Go does, and the
// hexadecimal form of hand-written clients.
func isThumbprint(text string, sum []byte) bool {
	return toBase64URL.Replace(text) == base64.RawURLEncoding.EncodeToString(sum) ||
		strings.EqualFold(text, hex.EncodeToString(sum))
}
