package access

import (
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // x5t is a SHA-1 thumbprint by definition; it only picks the certificate
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
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

// maxAssertionLength leaves room for a certificate chain in x5c.
const maxAssertionLength = 64 << 10

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
			return Certificate{}, fmt.Errorf("parse certificate: %w", err)
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
// out to one of tokenEndpoints, and valid at now give or take 5 minutes. It does
// not remember assertions; one can be used again until it expires.
func (p ServicePrincipal) VerifyAssertion(assertion string, tokenEndpoints []string, now time.Time) error {
	if len(assertion) > maxAssertionLength {
		return fmt.Errorf("%w: longer than %d bytes", ErrAssertionMalformed, maxAssertionLength)
	}
	parsed, err := jwt.ParseSigned(assertion, []jose.SignatureAlgorithm{jose.RS256, jose.PS256})
	if err != nil {
		return fmt.Errorf("%w: not a JWT signed with RS256 or PS256", ErrAssertionMalformed)
	}
	c, err := p.assertionClaims(parsed, now)
	if err != nil {
		return err
	}
	if !strings.EqualFold(c.Issuer, p.AppID) || !strings.EqualFold(c.Subject, p.AppID) {
		return fmt.Errorf("%w: iss and sub must be the client id", ErrAssertionClient)
	}
	// A leeway above the lifetime clients choose (10 minutes) would be useless,
	// none at all would refuse every client whose clock is a second ahead.
	if c.Expiry == nil {
		return fmt.Errorf("%w: no exp", ErrAssertionMalformed)
	}
	if now.Add(-tokenSkew).After(c.Expiry.Time()) {
		return fmt.Errorf("%w: expired at %s", ErrAssertionTime, c.Expiry.Time().UTC().Format(time.RFC3339))
	}
	for _, d := range []*jwt.NumericDate{c.NotBefore, c.IssuedAt} {
		if d != nil && now.Add(tokenSkew).Before(d.Time()) {
			return fmt.Errorf("%w: not before %s", ErrAssertionTime, d.Time().UTC().Format(time.RFC3339))
		}
	}
	for _, aud := range c.Audience {
		if audienceIn(aud, tokenEndpoints) {
			return nil
		}
	}
	return fmt.Errorf("%w: aud must be the URL of the token endpoint", ErrAssertionAudience)
}

// assertionClaims returns the claims once the signature holds.
func (p ServicePrincipal) assertionClaims(parsed *jwt.JSONWebToken, now time.Time) (jwt.Claims, error) {
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
		if err := parsed.Claims(key, &c); err != nil {
			if errors.Is(err, jose.ErrCryptoFailure) {
				continue
			}
			return jwt.Claims{}, fmt.Errorf("%w: unreadable claims", ErrAssertionMalformed)
		}
		if now.Add(tokenSkew).Before(cert.NotBefore) || now.After(cert.NotAfter) {
			expired = fmt.Errorf("%w: certificate is valid from %s to %s", ErrAssertionTime,
				cert.NotBefore.UTC().Format(time.RFC3339), cert.NotAfter.UTC().Format(time.RFC3339))
			continue
		}
		return c, nil
	}
	if expired != nil {
		return jwt.Claims{}, expired
	}
	return jwt.Claims{}, ErrAssertionSignature
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
