package resource

import (
	"fmt"

	"github.com/google/uuid"
)

// UID identifies one incarnation of a resource. A resource that is deleted and
// created again under the same name has another UID, so an event or a retry
// that was written for the former can never reach the latter.
//
// The zero UID belongs to no resource.
type UID [16]byte

// NewUID returns a fresh random UID.
func NewUID() UID { return UID(uuid.New()) }

// ParseUID reads the form that [UID.String] writes.
func ParseUID(s string) (UID, error) {
	u, err := uuid.Parse(s)
	if err != nil {
		return UID{}, fmt.Errorf("parse uid %q: %w", s, err)
	}
	return UID(u), nil
}

// String returns the canonical lower-case UUID form.
func (u UID) String() string { return uuid.UUID(u).String() }

// IsZero reports whether u belongs to no resource.
func (u UID) IsZero() bool { return u == UID{} }

// MarshalText implements [encoding.TextMarshaler].
func (u UID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (u *UID) UnmarshalText(b []byte) error {
	v, err := ParseUID(string(b))
	if err != nil {
		return err
	}
	*u = v
	return nil
}
