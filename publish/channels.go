package publish

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Channels finds the channels of one partner namespace. A namespace has thousands
// of them, which come, go and are activated one at a time, so all [Source]s of the
// namespace share one Channels that changes under them instead of being part of
// each. The zero value is empty and ready. It is safe for concurrent use; readers
// wait for nobody.
type Channels struct {
	byName   sync.Map // lower-case name → *Channel, for ChannelNameHeader
	bySource sync.Map // RoutingKey of a source → []*Channel by name, for SourceEventAttribute

	// mu orders writers and protects the fields below.
	mu sync.Mutex
	// keys says under which source an event channel is, by lower-case name.
	keys map[string]string
	// obscure are the event channels that cannot be read, by lower-case name; there
	// are so many as many says.
	obscure map[string]struct{}
	many    atomic.Int64
}

// Set adds a channel, or replaces the one of its name.
func (c *Channels) Set(channel *Channel) { c.byName.Store(strings.ToLower(channel.Name), channel) }

// Remove takes a channel away.
func (c *Channels) Remove(name string) { c.byName.Delete(strings.ToLower(name)) }

// SetSource adds an event channel, or replaces the one of its name. It gets the
// events whose source has the [RoutingKey] key.
func (c *Channels) SetSource(key string, channel *Channel) {
	name := strings.ToLower(channel.Name)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear(name)
	if old, ok := c.keys[name]; ok && old != key {
		c.drop(old, name)
	}
	if c.keys == nil {
		c.keys = make(map[string]string)
	}
	c.keys[name] = key
	all := c.of(key)
	at, found := find(all, name)
	all = slices.Clone(all) // readers have the former
	if found {
		all[at] = channel
	} else {
		all = slices.Insert(all, at, channel)
	}
	c.bySource.Store(key, all)
}

// RemoveSource takes an event channel away.
func (c *Channels) RemoveSource(name string) {
	name = strings.ToLower(name)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear(name)
	if key, ok := c.keys[name]; ok {
		c.drop(key, name)
		delete(c.keys, name)
	}
}

// Obscure says that an event channel cannot be read, so that nobody can say which
// events are for it. Until it is set or removed, no event is routed by its source.
func (c *Channels) Obscure(name string) {
	c.RemoveSource(name)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.obscure == nil {
		c.obscure = make(map[string]struct{})
	}
	c.obscure[strings.ToLower(name)] = struct{}{}
	c.many.Store(int64(len(c.obscure)))
}

// clear ends the effect of Obscure. mu is held.
func (c *Channels) clear(name string) {
	delete(c.obscure, name)
	c.many.Store(int64(len(c.obscure)))
}

// drop takes an event channel out of those of a source. mu is held.
func (c *Channels) drop(key, name string) {
	all := c.of(key)
	at, found := find(all, name)
	switch {
	case !found:
	case len(all) == 1:
		c.bySource.Delete(key)
	default:
		c.bySource.Store(key, slices.Delete(slices.Clone(all), at, at+1))
	}
}

func find(all []*Channel, name string) (at int, found bool) {
	return slices.BinarySearchFunc(all, name, func(c *Channel, name string) int {
		return cmp.Compare(strings.ToLower(c.Name), name)
	})
}

// named returns the channel of a name, or nil. The nil Channels has none.
func (c *Channels) named(name string) *Channel {
	if c == nil {
		return nil
	}
	v, ok := c.byName.Load(strings.ToLower(name))
	if !ok {
		return nil
	}
	return v.(*Channel)
}

// of returns the event channels of a source, which must not be changed. The nil
// Channels has none.
func (c *Channels) of(key string) []*Channel {
	if c == nil {
		return nil
	}
	v, ok := c.bySource.Load(key)
	if !ok {
		return nil
	}
	return v.([]*Channel)
}

// obscured reports whether there is an event channel that cannot be read.
func (c *Channels) obscured() bool { return c != nil && c.many.Load() > 0 }
