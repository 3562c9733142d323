package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// What can be wrong with a client secret.
var (
	ErrSecretWrong   = errors.New("wrong client secret")
	ErrSecretExpired = errors.New("expired client secret")
)

// ErrConflict is what a directory answers to a principal whose Revision is not
// the newest: somebody else changed it meanwhile. Read it again and repeat.
var ErrConflict = errors.New("service principal was changed by somebody else")

const (
	secretBytes = 32
	saltBytes   = 16
	// secretPrefix makes a leaked secret recognizable to scanners, and keeps it
	// from starting with a '-' that a command line would take for a flag.
	secretPrefix = "it_"
	// hintLength is the prefix and the three characters that Graph shows.
	hintLength = len(secretPrefix) + 3
)

// ServicePrincipal is a program that can sign in, together with the
// application it stands for: Graph has both as separate objects, this server
// one application per principal.
type ServicePrincipal struct {
	ObjectID      string // of the principal: what roles are assigned to
	AppID         string // client id: what it signs in with
	ApplicationID string // object id of the application, known to Graph clients only
	Tenant        string
	DisplayName   string
	Created       time.Time
	// Pending is true while only the application exists: a Graph client makes
	// it first and the principal second. A pending principal cannot sign in.
	Pending bool
	// Disabled keeps it from signing in and ends its tokens until it is enabled
	// again; its roles stay.
	Disabled bool `json:",omitempty"`
	// Owners are the object ids of those who answer for the application. They
	// get no rights by it.
	Owners       []string `json:",omitempty"`
	Secrets      []Secret
	Certificates []Certificate
	// Revision is what the directory knew when it handed this value out, 0 for
	// a principal it has never seen. A directory refuses with [ErrConflict] to
	// put back a value that is no longer the newest, so that no secret gets
	// lost to a race.
	Revision uint64
}

// NewServicePrincipal returns a principal with fresh ids and no credential.
func NewServicePrincipal(tenant, displayName string, now time.Time) ServicePrincipal {
	return ServicePrincipal{
		ObjectID: uuid.NewString(), AppID: uuid.NewString(), ApplicationID: uuid.NewString(),
		Tenant: tenant, DisplayName: displayName, Created: now.UTC(),
	}
}

// MaySignIn reports whether p may get tokens and use those it has.
func (p ServicePrincipal) MaySignIn() bool { return !p.Pending && !p.Disabled }

// Clone returns a copy that shares no slice with p.
func (p ServicePrincipal) Clone() ServicePrincipal {
	p.Owners = append([]string(nil), p.Owners...)
	p.Secrets = append([]Secret(nil), p.Secrets...)
	p.Certificates = append([]Certificate(nil), p.Certificates...)
	return p
}

// Secret is the stored form of a client secret.
type Secret struct {
	KeyID       string // GUID
	Hash, Salt  []byte
	DisplayName string
	Hint        string // first characters of the clear text
	Start, End  time.Time
	// Planned says that somebody chose Start, so that it is kept to. Otherwise it is
	// when the secret was made, by a clock that may have been wrong then.
	Planned bool `json:",omitempty"`
}

// NewSecret makes a client secret of 32 random bytes. It returns the clear text,
// which exists nowhere else, and the form to store.
//
// The stored form is a salted SHA-256. A slow hash is for passwords that people
// choose: it makes each guess dear where few guesses suffice. Among 2^238
// equally likely secrets (18 bits are in the hint) no price per guess matters,
// while every sign-in would have to pay it.
func NewSecret(displayName string, start, end time.Time) (plain string, s Secret) {
	var b [secretBytes]byte
	rand.Read(b[:])
	plain = secretPrefix + base64.RawURLEncoding.EncodeToString(b[:])
	s = Secret{
		KeyID: uuid.NewString(), Salt: make([]byte, saltBytes), DisplayName: displayName,
		Hint: plain[:hintLength], Start: start.UTC(), End: end.UTC(),
	}
	rand.Read(s.Salt)
	s.Hash = hashSecret(plain, s.Salt)
	return plain, s
}

// LogValue keeps hash and salt out of logs.
func (s Secret) LogValue() slog.Value {
	return slog.GroupValue(slog.String("key_id", s.KeyID), slog.Time("end", s.End))
}

// VerifySecret reports whether plain is a secret of p that is valid at now. The
// error matches [ErrSecretExpired] when it is the right secret at the wrong
// time, else [ErrSecretWrong]. A secret without End never expires.
func (p ServicePrincipal) VerifySecret(plain string, now time.Time) error {
	err := ErrSecretWrong
	for _, s := range p.Secrets {
		if len(s.Hash) != sha256.Size || subtle.ConstantTimeCompare(hashSecret(plain, s.Salt), s.Hash) != 1 {
			continue
		}
		if s.Planned && now.Add(tokenSkew).Before(s.Start) || !s.End.IsZero() && !now.Before(s.End) {
			err = fmt.Errorf("%w: key id %s", ErrSecretExpired, s.KeyID)
			continue
		}
		return nil
	}
	return err
}

func hashSecret(plain string, salt []byte) []byte {
	h := sha256.New()
	h.Write(salt)
	h.Write([]byte(plain))
	return h.Sum(nil)
}
