package registry

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"
)

// class is what kind of network an address belongs to.
type class int

const (
	public class = iota // of the internet, or a name: names say nothing
	loopback
	private
	linkLocal
	unusual // written or meant in a way that no registry needs
)

// classOf classifies a host by how it is written. A name other than localhost
// is public: it is not looked up.
func classOf(host string) class {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return loopback
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return classOfAddr(addr)
	}
	// The C library reads 127.1, 0x7f000001 and 2130706433 as addresses.
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == "" || last[0] >= '0' && last[0] <= '9' {
		return unusual
	}
	return public
}

func classOfAddr(addr netip.Addr) class {
	addr = addr.Unmap().WithZone("")
	// The shared address space (RFC 6598): clouds keep services in it that are meant
	// for one machine only.
	carrierGrade := netip.MustParsePrefix("100.64.0.0/10")
	switch {
	case addr.IsLoopback(), addr.IsUnspecified():
		return loopback
	case addr.IsPrivate(), carrierGrade.Contains(addr):
		return private
	case addr.IsLinkLocalUnicast():
		return linkLocal
	case addr.IsMulticast(), addr.IsInterfaceLocalMulticast(), addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return unusual
	}
	return public
}

// resolve classifies a name by its first address.
func resolve(ctx context.Context, host string) class {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(addrs) == 0 {
		return public
	}
	return classOfAddr(addrs[0])
}

// sameDomain tells whether two hosts belong to one owner: the same address,
// both of them this machine, or the same domain below a public suffix.
func sameDomain(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	if a == b || classOf(a) == loopback && classOf(b) == loopback {
		return true
	}
	da, errA := publicsuffix.EffectiveTLDPlusOne(a)
	db, errB := publicsuffix.EffectiveTLDPlusOne(b)
	_, ipA := netip.ParseAddr(a)
	_, ipB := netip.ParseAddr(b)
	return errA == nil && errB == nil && ipA != nil && ipB != nil && da == db
}
