package filter

// plan is the trie of all keys that a set of filters asks for. Node 0 stands
// for the event; every other node for a property path.
type plan struct {
	nodes []node
	index map[step]int32
}

// step identifies a node by its parent and its name as a filter spells it.
type step struct {
	parent int32
	name   string
}

type node struct {
	// edges leads from the folded name of a member to the children it can be:
	// several when filters spell a key in several ways.
	edges map[string][]edge
	// lengths has bit n%64 set when some folded name is n bytes long. It turns
	// away most members without a look into edges.
	lengths uint64
	// attribute: a top-level member other than data, whose numbers and
	// booleans also read as text.
	attribute bool
}

type edge struct {
	node  int32
	name  string // the spelling that outranks all others
	alias bool   // the member is the attribute under its name in another schema
}

// rank orders the members that can be the same child. The highest wins; among
// equals the last one does, as everywhere in JSON.
func (e *edge) rank(name []byte) uint8 {
	switch {
	case e.alias:
		return 1
	case string(name) == e.name:
		return 3
	}
	return 2
}

func newPlan() *plan {
	return &plan{nodes: make([]node, 1), index: map[step]int32{}}
}

// add returns the node of a path, making it if needed.
func (p *plan) add(path []string) int32 {
	var at int32
	for depth, name := range path {
		next, ok := p.index[step{at, name}]
		if !ok {
			next = p.grow(at, name, depth == 0)
		}
		at = next
	}
	return at
}

func (p *plan) grow(parent int32, name string, top bool) int32 {
	id := int32(len(p.nodes)) //nolint:gosec // bounded by filters × 25 × depth
	folded := fold(name)
	p.index[step{parent, name}] = id
	p.nodes = append(p.nodes, node{attribute: top && folded != "data"})
	if top && folded == unsearchable {
		return id // No edge: always absent.
	}
	p.connect(parent, folded, edge{node: id, name: name})
	if top {
		for _, other := range otherSpellings(folded) {
			p.connect(parent, other, edge{node: id, alias: true})
		}
	}
	return id
}

func (p *plan) connect(parent int32, folded string, e edge) {
	n := &p.nodes[parent]
	if n.edges == nil {
		n.edges = map[string][]edge{}
	}
	n.edges[folded] = append(n.edges[folded], e)
	n.lengths |= 1 << (len(folded) & 63)
}

// read takes from an event every value that the plan asks for. Properties that
// occur twice count once, with their last value, also when they are objects.
func (p *plan) read(json []byte, s *scratch) {
	if len(p.nodes) == 1 {
		return
	}
	if i := skipSpace(json, 0); i < len(json) && json[i] == '{' {
		p.object(&p.nodes[0], json, i, s)
	}
}

// object reads the object at b[i] and returns the index behind it. Its
// recursion is as deep as the trie, not as the event.
func (p *plan) object(n *node, b []byte, i int, s *scratch) int {
	for i++; ; i++ {
		i = skipSpace(b, i)
		if i >= len(b) || b[i] != '"' {
			return min(i+1, len(b))
		}
		end, literal := skipName(b, i)
		mark := len(s.arena)
		name, edges := n.find(trimQuotes(b[i:end]), literal, s)
		i = skipSpace(b, end)
		i = skipSpace(b, i+1)
		if i >= len(b) {
			return len(b)
		}
		if len(edges) == 0 {
			s.arena = s.arena[:mark]
			i = skipValue(b, i)
		} else {
			i = p.take(edges, name, b, i, s)
		}
		i = skipSpace(b, i)
		if i >= len(b) || b[i] != ',' {
			return min(i+1, len(b))
		}
	}
}

// find returns the decoded name of a member and the children it can be.
func (n *node) find(raw []byte, literal bool, s *scratch) ([]byte, []edge) {
	if literal {
		if n.lengths>>(len(raw)&63)&1 == 0 {
			return nil, nil
		}
		if isSettled(raw) {
			return raw, n.edges[string(raw)]
		}
	}
	start := len(s.arena)
	s.arena = appendText(s.arena, raw, false)
	middle := len(s.arena)
	name := s.arena[start:middle:middle]
	s.arena = appendFold(s.arena, name)
	return name, n.edges[string(s.arena[middle:])]
}

// take stores the value at b[i] for each of the children unless they have a
// better one, and returns the index behind the value.
func (p *plan) take(edges []edge, name []byte, b []byte, i int, s *scratch) int {
	end := -1
	for k := range edges {
		e := &edges[k]
		v, rank := &s.values[e.node], e.rank(name)
		if v.seen {
			if rank < v.rank {
				continue
			}
			s.forget(v)
		}
		*v = value{seen: true, rank: rank, kind: kindOf(b[i]), from: int32(len(s.visited))} //nolint:gosec // at most one per byte of an event
		s.visited = append(s.visited, e.node)
		child := &p.nodes[e.node]
		v.attribute = child.attribute
		if v.kind == object && child.edges != nil {
			end = p.object(child, b, i, s)
		} else if end < 0 {
			end = skipValue(b, i)
		}
		v.raw = b[i:end]
		v.to = int32(len(s.visited)) //nolint:gosec // as above
	}
	if end < 0 {
		end = skipValue(b, i)
	}
	return end
}
