package arm

import (
	"strings"

	"github.com/intertie/intertie/resource"
)

// defaultForeignBytes is what the resources of other providers of one subscription
// may take: thousands of them. They are in memory, whoever asks for them.
const defaultForeignBytes = 32 << 20

// isForeign reports whether a type is one of another provider.
func isForeign(typ string) bool {
	ns, _, _ := strings.Cut(typ, "/")
	return !anyFold(ns, ownProviders...) && !resource.IsInternal(typ)
}

// requireRoom refuses a resource of another provider that would be too much for its
// subscription. One that becomes smaller always may.
func (h *Handler) requireRoom(tx resource.Reader, v update) error {
	if !isForeign(v.kind.Type) {
		return nil
	}
	size := sizeOf(v.next)
	if v.old != nil && size <= sizeOf(v.old) {
		return nil
	}
	most := h.ForeignBytes
	if most == 0 {
		most = defaultForeignBytes
	}
	var around resource.ID // the tenant, for what lies in no subscription
	if s := v.next.ID.Subscription; s != "" {
		around = resource.SubscriptionID(s)
	}
	for _, r := range tx.List("", around) {
		if isForeign(r.Type) && strings.EqualFold(r.ID.Subscription, around.Subscription) && !r.ID.Equal(v.next.ID) {
			size += sizeOf(r)
		}
	}
	if size > most {
		return resource.Errorf(resource.Conflict,
			"The resources of other providers in the subscription '%s' would take %d bytes with this one; at most %d are possible. Delete some that are not needed.",
			around.Subscription, size, most)
	}
	return nil
}
