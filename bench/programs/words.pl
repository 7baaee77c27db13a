# Hashes, arrays and strings as scripts use them, over real text; prints sums.
#
#   perl words.pl TEXT
use strict;
use warnings;

my ($path) = @ARGV;
open(my $file, '<', $path) or die "$path: $!\n";
my (%count, %follows, @lines);
while (my $line = <$file>) {
    chomp $line;
    my @words = $line =~ /(\w+)/g;
    next unless @words;
    $count{$_}++ for @words;
    push @{ $follows{ $words[$_ - 1] } }, $words[$_] for 1 .. $#words;
    push @lines, join(' ', reverse @words);
}
close($file);

my ($longest, $sum) = ('', 0);
for my $word (sort keys %follows) {
    my %seen;
    my @unique = grep { !$seen{$_}++ } @{ $follows{$word} };
    $sum += @unique * length($word);
    $longest = $word if @unique > @{ $follows{$longest} // [] };
}
my $text = join("\n", sort { length($a) <=> length($b) || $a cmp $b } @lines);
$text =~ s/(\w+) (\w+)/$2-$1/g;
my $check = 0;
$check = ($check * 31 + ord($1)) % 1000003 while $text =~ /(.)\n/g;
print scalar(keys %count), " $sum $longest ", length($text), " $check\n";
