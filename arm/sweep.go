package arm

import (
	"slices"

	"github.com/intertie/intertie/resource"
)

// foreignTypesStored returns the foreign types of which there is a resource. It
// asks the store itself, so it must not be called inside of a transaction.
func (h *Handler) foreignTypesStored() []string {
	return slices.DeleteFunc(h.Store.Types(), func(typ string) bool { _, ok := foreignKind(typ); return !ok })
}

// sweep removes the resources of the foreign types below an id, which nothing else
// takes along, innermost first and at most limit of them; it reports whether that
// was all. The resource itself stays.
func sweep(tx resource.Tx, types []string, below resource.ID, limit int) bool {
	var found []*resource.Resource
	for _, typ := range types {
		for _, r := range tx.List(typ, below) {
			if !r.ID.Equal(below) {
				found = append(found, r)
			}
		}
	}
	slices.SortFunc(found, func(a, b *resource.Resource) int { return -byID(a, b) })
	done := len(found) <= limit
	for _, r := range found[:min(limit, len(found))] {
		resource.DeleteWhole(tx, r.ID)
	}
	return done
}
