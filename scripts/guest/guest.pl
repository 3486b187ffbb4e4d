#!/usr/bin/perl
# What the guest does, told over its second serial port, one line each. The serial number that the machine was given says which:
#
#   write   looks at what is there ("FOUND k"), then goes on from there for ever: writes record k, makes it durable, says "DID k"
#   check   looks at what is there, says "FOUND k" or "WRONG …", waits for a line, and switches the machine off
#   run     as write; meanwhile /run/tools/run, on a disk labelled "tools", runs as a program: what it prints is told as "SAY …", and its end as "END code"
#
# Record k is 4 KiB that follow from k. It lies in the ring, a file of 1,024 places written in place, at k mod 1,024; every eighth is a file of its own as well,
# of which the last 64 stay. So at any moment the files hold what some k says, but for record k+1 on its way. tests/…/GuestRecords.cs knows the same rules.
use strict;
use warnings;
use Fcntl;
use IO::Handle;

my ($SIZE, $PLACES, $EVERY, $KEPT) = (4096, 1024, 8, 64);
my $folder = "/var/lib/records";

open(my $port, "+<", "/dev/ttyS1") or die "ttyS1: $!";
$port->autoflush(1);
system("stty -F /dev/ttyS1 raw -echo");
sub say_so { print $port "$_[0]\n" }

sub record {
    my $k = shift;
    my ($x, @words) = ($k, $k);
    for (1 .. $SIZE / 4 - 1) {
        $x = ($x * 1664525 + 1013904223) & 0xffffffff;
        push @words, $x;
    }
    return pack("V*", @words);
}

sub durable { my ($file, $what) = @_; $file->flush && $file->sync or die "$what: $!" }

# The highest record in the ring; dies when the rest is not what follows from it.
sub look {
    open(my $ring, "<:raw", "$folder/ring") or return 0;
    my ($last, @found) = (0);
    for my $place (0 .. $PLACES - 1) {
        last if sysread($ring, my $bytes, $SIZE) != $SIZE;
        my $k = unpack("V", $bytes);
        next if $k == 0 && $bytes eq "\0" x $SIZE;
        $k % $PLACES == $place && $bytes eq record($k) or die "WRONG ring: place $place holds no record\n";
        $found[$place] = $k;
        $last = $k if $k > $last;
    }
    for (my $k = $last; $k > 0 && $k > $last - $PLACES; $k--) {
        ($found[$k % $PLACES] // 0) == $k or die "WRONG ring: $k is not there, $last is\n";
    }
    for (my $k = $last - $last % $EVERY; $k > 0 && $k > $last - $EVERY * ($KEPT - 1); $k -= $EVERY) {
        open(my $file, "<:raw", "$folder/$k") or die "WRONG file: $k is not there, $last is\n";
        my $got = sysread($file, my $bytes, $SIZE + 1);
        $got == $SIZE && $bytes eq record($k) or die "WRONG file: $k\n";
    }
    return $last;
}

my $last = eval { look() };
if (!defined $last) {
    chomp(my $why = $@);
    say_so($why =~ /^WRONG/ ? $why : "WRONG $why");
    exit 1;
}
say_so("FOUND $last");

open(my $id, "<", "/sys/class/dmi/id/product_serial") or die "product_serial: $!";
chomp(my $mode = <$id>);
if ($mode eq "check") {
    my $line = <$port>;
    exec("systemctl", "poweroff");
}

mkdir $folder;
if ($mode eq "run" && !fork) {
    mkdir "/run/tools";
    system("mount", "-o", "ro", "LABEL=tools", "/run/tools") == 0 or say_so("SAY there are no tools");
    open(my $lines, "-|", "/run/tools/run 2>&1") or die "run: $!";
    while (my $line = <$lines>) {
        chomp $line;
        say_so("SAY $line");
    }
    close $lines;
    say_so("END " . ($? >> 8));
    exit 0;
}
sysopen(my $ring, "$folder/ring", O_RDWR | O_CREAT) or die "ring: $!";
for (my $k = $last + 1;; $k++) {
    my $bytes = record($k);
    if ($k % $EVERY == 0) { # before the ring: a record in the ring has its file
        open(my $file, ">:raw", "$folder/$k") or die "$k: $!";
        print $file $bytes or die "$k: $!";
        durable($file, $k);
        close $file;
        my $old = $k - $EVERY * $KEPT;
        unlink "$folder/$old" if $old > 0;
    }
    sysseek($ring, ($k % $PLACES) * $SIZE, 0);
    syswrite($ring, $bytes) == $SIZE or die "ring: $!";
    durable($ring, "ring");
    say_so("DID $k");
}
