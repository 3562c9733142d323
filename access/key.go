package access

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"strings"
)

// keyBytes is the length of an access key before base64, as Azure's.
const keyBytes = 32

// NewKey returns a fresh access key: standard base64 of 32 random bytes.
func NewKey() string {
	var b [keyBytes]byte
	rand.Read(b[:]) // never fails: crypto/rand stops the program instead
	return base64.StdEncoding.EncodeToString(b[:])
}

// VerifyKey reports whether presented equals one of keys. The time it takes
// tells nothing about where a wrong key differs, nor which key matched. An
// empty key matches nothing, so a resource whose second key is unset has no
// open door.
func VerifyKey(presented string, keys ...string) bool {
	ok := 0
	for _, k := range keys {
		if k == "" {
			continue
		}
		ok |= subtle.ConstantTimeCompare([]byte(presented), []byte(k))
	}
	return ok == 1
}

// VerifyQueryKey is [VerifyKey] for a key that came in a URL's query. There an
// unescaped '+' of the base64 alphabet arrives as a blank; no key contains a
// blank, so turning it back is safe.
func VerifyQueryKey(presented string, keys ...string) bool {
	return VerifyKey(strings.ReplaceAll(presented, " ", "+"), keys...)
}
