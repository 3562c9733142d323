package event

import (
	"strings"
	"testing"
)

// fromSource is a minimal CloudEvent of another source.
func fromSource(source string) string { return strings.Replace(minimal, "/s", source, 1) }

// shopOf is a custom event that names its domain topic.
func shopOf(name string) string { return `{"orderId":"1","shop":"` + name + `"}` }

// domainRequests are a request with an event for a domain topic in every way to
// send one, alone and behind others that go elsewhere.
func domainRequests(name string) map[string]Request {
	grid := gridWith(`"topic":"` + name + `"`)
	behind := func(ev, other string) string { return "[" + other + "," + ev + "]" }
	return map[string]Request{
		"EventGrid":          onDomain(gridRequest(grid)),
		"EventGrid, array":   onDomain(gridRequest(behind(grid, gridWith(`"topic":"north"`)))),
		"CloudEvents":        onDomain(structuredRequest(fromSource(name))),
		"CloudEvents, array": onDomain(Request{ContentType: typeBatch, Body: []byte(behind(fromSource(name), fromSource("north")))}),
		"CloudEvents, binary": onDomain(binaryRequest("application/json", "{}", "Ce-Source",
			strings.NewReplacer(`\u002f`, "/").Replace(name))),
		"Custom":        onDomain(customRequest(fullMapping, shopOf(name))),
		"Custom, array": onDomain(customRequest(fullMapping, behind(shopOf(name), shopOf("north")))),
	}
}

// An event names its domain topic by name or by id, whose letters may be in any
// case. Receivers see the id in one form, and the source of a CloudEvent as it
// was sent.
func TestDomainTopicByNameAndByID(t *testing.T) {
	for _, sent := range []string{
		"South-1", domainID + "/topics/South-1",
		strings.ToLower(domainID) + "/TOPICS/South-1", strings.ToUpper(domainID) + "/topics/South-1",
		strings.ReplaceAll(domainID, "/", `\u002f`) + "/topics/South-1",
	} {
		for name, r := range domainRequests(sent) {
			events, err := Parse(r)
			if err != nil {
				t.Errorf("%s, %s: %v", name, sent, err)
				continue
			}
			ev := events[len(events)-1]
			if ev.DomainTopic != "South-1" {
				t.Errorf("%s, %s: domain topic %q", name, sent, ev.DomainTopic)
			}
			want := domainID + "/topics/South-1"
			if ev.Schema == CloudEvents {
				want = strings.ReplaceAll(sent, `\u002f`, "/")
			} else if !strings.Contains(string(ev.JSON), `"topic":"`+want+`"`) {
				t.Errorf("%s, %s: delivered %s", name, sent, ev.JSON)
			}
			if ev.Source != want {
				t.Errorf("%s, %s: source %q", name, sent, ev.Source)
			}
		}
	}
}

// What cannot be a domain topic of this domain is refused: it would reach
// nobody.
func TestNoTopicOfTheDomain(t *testing.T) {
	for _, sent := range []string{
		"http://shop.example", "https://shop.example/topics/north", "urn:shop:north", "/north", "north/", "topics/north",
		domainID, domainID + "/topics", domainID + "/topics/", domainID + "/topics/north/", domainID + "/topics/north/more",
		domainID + "2/topics/north", domainID[1:] + "/topics/north", domainID + "//topics/north", domainID + "/topic/north",
		strings.Replace(domainID, "shop-rg", "other", 1) + "/topics/north", topicID, "no rth", "north_1", "nörd", "north?x=1",
	} {
		for name, r := range domainRequests(sent) {
			t.Run(name+" "+sent, func(t *testing.T) {
				code := InputJSONInvalid
				if strings.Contains(name, "binary") {
					code = InvalidCloudEventHeader
				}
				refuses(t, r, code, []string{domainID + "/topics/NAME"})
			})
		}
	}
}

// Blanks around the source of a CloudEvent are its publisher's and do not
// count.
func TestBlanksAroundTheSourceOfADomainTopic(t *testing.T) {
	for _, name := range []string{"north", domainID + "/topics/north"} {
		events, err := Parse(onDomain(structuredRequest(fromSource("  " + name + "  "))))
		if err != nil {
			t.Fatal(err)
		}
		if ev := events[0]; ev.DomainTopic != "north" || ev.Source != "  "+name+"  " {
			t.Errorf("domain topic %q of source %q", ev.DomainTopic, ev.Source)
		}
	}
}
