package publish

import (
	"strings"
	"sync"

	"github.com/intertie/intertie/resource"
)

// DomainTopics finds the topics of one domain by name, letter case ignored. A
// domain has up to 100,000 of them, which come and go one at a time, so all
// [Source]s of the domain share one DomainTopics that changes under them
// instead of being part of the snapshot. The zero value is empty and ready. It
// is safe for concurrent use; readers wait for nobody.
type DomainTopics struct {
	byName sync.Map // lower-case name → resource.UID
}

// Set adds a topic, or gives its name to another incarnation.
func (d *DomainTopics) Set(name string, uid resource.UID) {
	d.byName.Store(strings.ToLower(name), uid)
}

// Remove takes a topic away. One that was created anew under the same name has
// another UID and stays.
func (d *DomainTopics) Remove(name string, uid resource.UID) {
	d.byName.CompareAndDelete(strings.ToLower(name), uid)
}

// Lookup returns the topic of a name. The nil DomainTopics has none.
func (d *DomainTopics) Lookup(name string) (uid resource.UID, ok bool) {
	if d == nil {
		return uid, false
	}
	v, ok := d.byName.Load(strings.ToLower(name))
	if !ok {
		return uid, false
	}
	return v.(resource.UID), true
}
