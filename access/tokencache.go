package access

import (
	"crypto/sha256"
	"sync"
)

// defaultCacheSize covers one token per audience of some thousand principals.
const defaultCacheSize = 4096

// claimsCache remembers which tokens have a good signature. It keeps hashes,
// not tokens, so a dump of our memory is no bunch of keys.
//
// It holds two generations of at most half the size each. When the young one
// is full it becomes the old one, and the old one is forgotten; what is asked
// for again moves to the young one. So it is bounded without a list to maintain
// on each read, and expired tokens leave by themselves. A nil cache is empty.
type claimsCache struct {
	half int

	mu         sync.RWMutex // protects the fields below
	young, old map[[sha256.Size]byte]Claims
	generation uint64 // grows whenever all is forgotten
}

// newClaimsCache takes 0 for the default size and a negative size for none.
func newClaimsCache(size int) *claimsCache {
	if size < 0 {
		return nil
	}
	if size == 0 {
		size = defaultCacheSize
	}
	return &claimsCache{half: max(size/2, 1), young: map[[sha256.Size]byte]Claims{}}
}

func cacheKey(token string) [sha256.Size]byte {
	var room [2048]byte // our tokens fit, so the copy stays on the stack
	return sha256.Sum256(append(room[:0], token...))
}

func (c *claimsCache) get(id [sha256.Size]byte) (Claims, bool) {
	if c == nil {
		return Claims{}, false
	}
	c.mu.RLock()
	v, ok := c.young[id]
	if ok {
		c.mu.RUnlock()
		return v, true
	}
	v, ok = c.old[id]
	generation := c.generation
	c.mu.RUnlock()
	if ok {
		c.put(id, v, generation)
	}
	return v, ok
}

// now returns the generation that what is found out from here on belongs to.
func (c *claimsCache) now() uint64 {
	if c == nil {
		return 0
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.generation
}

func (c *claimsCache) forget() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.young, c.old = map[[sha256.Size]byte]Claims{}, nil
	c.generation++
}

// put does nothing when all was forgotten after generation: v was found out by
// what does not hold any more.
func (c *claimsCache) put(id [sha256.Size]byte, v Claims, generation uint64) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.generation {
		return
	}
	if len(c.young) >= c.half {
		c.old, c.young = c.young, make(map[[sha256.Size]byte]Claims, c.half)
	}
	c.young[id] = v
}

// size is the number of entries held, an entry of both generations twice.
func (c *claimsCache) size() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.young) + len(c.old)
}
