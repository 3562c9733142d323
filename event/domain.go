package event

import (
	"bytes"
	"strings"
	"unicode"
)

// domainTopics stands between the id of a domain and the name of one of its
// topics in the id of that topic.
const domainTopics = "/topics/"

// findDomainTopic says where in s the name of a topic of the domain is: s is
// the bare name, or the id of the topic in any letter case. Without ok it is
// neither. Whether there is such a topic is not known here.
func findDomainTopic(domain string, s []byte) (name span, ok bool) {
	name.end = len(s)
	if i := bytes.LastIndexByte(s, '/'); i >= 0 {
		if name.start = i + 1; !strings.EqualFold(string(s[:name.start]), domain+domainTopics) {
			return span{}, false
		}
	}
	return name, isDomainTopicName(s[name.start:])
}

// isDomainTopicName applies Event Grid's rule on the characters of such names.
// How long they may be is left to those who create topics.
func isDomainTopicName(s []byte) bool {
	for _, c := range s {
		if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z') && c != '-' {
			return false
		}
	}
	return len(s) > 0
}

// checkGridDomainTopic leaves only the name of the domain topic where the id
// was sent. The property is the one that it was taken from.
func (p *parser) checkGridDomainTopic(property string) *Error {
	g := p.grid
	topic := &g.event.text[propertyTopic]
	if string(topic.s) == g.domainTopic {
		return nil // as the event before
	}
	at, ok := findDomainTopic(g.topic, topic.s)
	if !ok {
		return p.noDomainTopic(property, topic.s)
	}
	name := topic.s[at.start:at.end] // such names need no escapes
	*topic = value{written: name, s: name}
	return nil
}

// findSourceTopic is findDomainTopic for the source of a CloudEvent, where
// blanks around it do not count.
func findSourceTopic(domain string, source []byte) (name span, ok bool) {
	name, ok = findDomainTopic(domain, bytes.TrimSpace(source))
	before := len(source) - len(bytes.TrimLeftFunc(source, unicode.IsSpace))
	return span{before + name.start, before + name.end}, ok
}

func (p *parser) noDomainTopic(property string, s []byte) *Error {
	return invalid("%sthe property '%s' is '%s', which %s (schema %s).", p.where(), property, clip(s), namesNoTopic(p.topic), p.schema)
}

// namesNoTopic says what is wrong with a domain topic and what to send instead.
func namesNoTopic(domain string) string {
	return "names no topic of this domain: send the name of the domain topic, of letters, digits and hyphens, or its id '" + domain + domainTopics + "NAME'"
}
