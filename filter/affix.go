package filter

import (
	"slices"
	"sort"
	"strings"
)

// affixes finds, among many texts, all those that a given text starts with. It
// also serves endings, with every text reversed.
//
// The texts are sorted, and each knows the longest other one that it starts
// with. Of all texts up to t, the last one or one of its ancestors is the
// longest prefix of t: whatever sorts between that prefix and t starts with
// the prefix as well. So one binary search and a walk upwards finds them all.
type affixes struct {
	texts   []string
	parents []int32 // -1: none
	buckets []int32
	longest int // bytes of the longest text
}

// newAffixes takes distinct texts and the bucket of each.
func newAffixes(buckets map[string]int32) *affixes {
	a := &affixes{}
	for t := range buckets {
		a.texts = append(a.texts, t)
		a.longest = max(a.longest, len(t))
	}
	slices.Sort(a.texts)
	a.parents = parentsOf(a.texts)
	for _, t := range a.texts {
		a.buckets = append(a.buckets, buckets[t])
	}
	return a
}

// parentsOf returns for each of the sorted texts the index of the longest
// other one that it starts with, or -1.
func parentsOf(texts []string) []int32 {
	parents := make([]int32, len(texts))
	for i := range texts {
		p := int32(i) - 1
		for p >= 0 && !strings.HasPrefix(texts[i], texts[p]) {
			p = parents[p]
		}
		parents[i] = p
	}
	return parents
}

// find returns the index of the longest text that t starts with, or -1. The
// others are its ancestors.
func (a *affixes) find(t []byte) int32 {
	t = t[:min(len(t), a.longest)]
	i := int32(sort.Search(len(a.texts), func(i int) bool { return a.texts[i] > string(t) })) - 1 //nolint:gosec // bounded by the number of filters
	if i < 0 {
		return -1
	}
	common := 0
	for last := a.texts[i]; common < len(last) && common < len(t) && last[common] == t[common]; {
		common++
	}
	for i >= 0 && len(a.texts[i]) > common {
		i = a.parents[i]
	}
	return i
}

// reversed returns the last n bytes of t, at most, back to front. The result
// lies in the arena.
func (s *scratch) reversed(t []byte, n int) []byte {
	start := len(s.arena)
	for i := len(t) - 1; i >= max(0, len(t)-n); i-- {
		s.arena = append(s.arena, t[i])
	}
	return s.arena[start:len(s.arena):len(s.arena)]
}

func reverse(t string) string {
	b := []byte(t)
	slices.Reverse(b)
	return string(b)
}
