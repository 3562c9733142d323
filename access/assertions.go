package access

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// What can be wrong with a client assertion that is good in itself.
var (
	ErrAssertionUsed  = errors.New("client assertion was used before")
	ErrAssertionsMany = errors.New("the client has used too many assertions that have not expired yet")
)

// maxAssertions bounds what is remembered of one client, to about 400 KiB. Beyond
// it the client waits, as forgetting one would let it be used again.
const maxAssertions = 4096

// Assertion is a client assertion that was found good.
type Assertion struct {
	Client  string // id
	ID      [sha256.Size]byte
	Expires time.Time
}

// Assertions remembers which client assertions were used until these expire, so
// that one that was overheard is of no use. The zero value is ready. It is safe for
// concurrent use, and forgets all when the process ends.
//
// An assertion is taken once for each audience, not once: Microsoft's libraries for
// Python and JavaScript sign one for ten minutes and use it for all audiences.
type Assertions struct {
	mu      sync.Mutex                                 // protects the fields below
	clients map[string]map[[sha256.Size]byte]time.Time // until when, by client and use
	swept   time.Time
}

// Take notes the use of v for a token made out to audience. The error matches
// [ErrAssertionUsed] if that was noted before, or [ErrAssertionsMany].
func (a *Assertions) Take(v Assertion, audience string, now time.Time) error {
	use := sha256.Sum256(append(v.ID[:], audience...))
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.swept) >= time.Minute {
		a.sweep(now)
	}
	client := strings.ToLower(v.Client)
	used := a.clients[client]
	if _, ok := used[use]; ok {
		return ErrAssertionUsed
	}
	if len(used) >= maxAssertions {
		return fmt.Errorf("%w: %d", ErrAssertionsMany, len(used))
	}
	if used == nil {
		used = make(map[[sha256.Size]byte]time.Time)
		if a.clients == nil {
			a.clients = make(map[string]map[[sha256.Size]byte]time.Time)
		}
		a.clients[client] = used
	}
	used[use] = v.Expires.Add(tokenSkew) // by when it is refused as expired
	return nil
}

// sweep forgets what has expired. The caller holds mu.
func (a *Assertions) sweep(now time.Time) {
	a.swept = now
	for client, used := range a.clients {
		for use, until := range used {
			if now.After(until) {
				delete(used, use)
			}
		}
		if len(used) == 0 {
			delete(a.clients, client)
		}
	}
}
