-- Tables in memory filled from real text (words.tsv in the current folder: line, place, word),
-- indexes, joins, sorts, grouping, updates and deletes.
.bail on
.mode tabs
CREATE TABLE word (line INTEGER, place INTEGER, word TEXT);
.import words.tsv word
CREATE INDEX word_by_text ON word (word, line);
CREATE TABLE pair AS
  SELECT a.word AS first, b.word AS second, count(*) AS times
  FROM word a JOIN word b ON b.line = a.line AND b.place = a.place + 1
  GROUP BY a.word, b.word;
CREATE INDEX pair_by_second ON pair (second, times);
SELECT count(*), sum(times), max(times) FROM pair;
SELECT first, second, times FROM pair ORDER BY times DESC, first, second LIMIT 50;
UPDATE word SET word = upper(word) || '-' || place WHERE line % 3 = 0;
DELETE FROM word WHERE line % 7 = 1;
SELECT count(*), count(DISTINCT word), sum(length(word)) FROM word;
CREATE TABLE longest AS
  SELECT line, group_concat(word, ' ') AS text FROM (SELECT * FROM word ORDER BY line, place)
  GROUP BY line;
SELECT line, length(text) FROM longest ORDER BY length(text) DESC, line LIMIT 20;
SELECT substr(word, 1, 2) AS start, count(*), min(word), max(word)
  FROM word GROUP BY start ORDER BY count(*) DESC, start LIMIT 50;
