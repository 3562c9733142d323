package resource

import (
	"slices"
	"strings"
)

// DeletionOrder sorts kinds so that whatever has to go first comes first: nested
// types before the one they live in, and those that a kind names in After before
// it. It returns their types; a circle is a mistake in the declarations and
// panics.
func DeletionOrder(kinds []*Kind) []string {
	byType := make(map[string]*Kind, len(kinds))
	for _, k := range kinds {
		byType[k.Type] = k
	}
	var order []string
	const underWay, done = 1, 2
	state := make(map[string]int, len(kinds))
	var visit func(*Kind)
	visit = func(k *Kind) {
		switch state[k.Type] {
		case done:
			return
		case underWay:
			panic("resource: the deletion order of " + k.Type + " runs in a circle")
		}
		state[k.Type] = underWay
		for _, other := range kinds {
			if strings.HasPrefix(other.Type, k.Type+"/") || slices.Contains(k.After, other.Type) {
				visit(other)
			}
		}
		state[k.Type] = done
		order = append(order, k.Type)
	}
	for _, k := range kinds {
		visit(byType[k.Type])
	}
	return order
}
