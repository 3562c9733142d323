package activity

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/intertie/intertie/resource"
)

// Sources says which system topics show what happens in a subscription or a
// resource group: those of the topic types Microsoft.Resources.Subscriptions and
// Microsoft.Resources.ResourceGroups. Others may have such a source as well and
// do not belong here. The zero value has none. It is safe for concurrent use.
type Sources struct {
	count atomic.Int64 // of topics, to know without a lock that nobody listens

	mu       sync.RWMutex // protects the fields below
	bySource map[string][]listener
	byTopic  map[resource.UID]string // key of its source
}

// listener is one system topic.
type listener struct {
	topic  resource.UID
	id     string // ARM id of the topic, for logs
	source string // ARM id of what it shows
}

// Set makes a system topic show what happens in source, and nothing else any
// more. A source that is neither a subscription nor a resource group raises no
// such events; setting one is the same as [Sources.Remove].
func (s *Sources) Set(source resource.ID, topic resource.UID, topicID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(topic)
	if source.Subscription == "" || source.Namespace != "" {
		return
	}
	if s.bySource == nil {
		s.bySource, s.byTopic = make(map[string][]listener), make(map[resource.UID]string)
	}
	key := source.Key()
	s.byTopic[topic] = key
	// A list that was handed out is never changed, so every change is a new one.
	old := s.bySource[key]
	s.bySource[key] = append(slices.Clip(old), listener{topic: topic, id: topicID, source: source.String()})
	s.count.Add(1)
}

// Remove forgets a system topic. One that is not known is gone already.
func (s *Sources) Remove(topic resource.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(topic)
}

func (s *Sources) remove(topic resource.UID) {
	key, ok := s.byTopic[topic]
	if !ok {
		return
	}
	delete(s.byTopic, topic)
	var left []listener
	for _, l := range s.bySource[key] {
		if l.topic != topic {
			left = append(left, l)
		}
	}
	if s.bySource[key] = left; len(left) == 0 {
		delete(s.bySource, key)
	}
	s.count.Add(-1)
}

// none reports whether there is no system topic at all, at the price of one
// atomic read.
func (s *Sources) none() bool { return s.count.Load() == 0 }

// of returns the system topics that show a resource: those of its subscription
// first, then those of its group.
func (s *Sources) of(id resource.ID) []listener {
	if id.Subscription == "" {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := s.bySource[resource.SubscriptionID(id.Subscription).Key()]
	if id.Group == "" {
		return found
	}
	return append(slices.Clip(found), s.bySource[id.GroupScope().Key()]...)
}
