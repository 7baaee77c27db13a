# Many small processes, as builds and scripts start them: what a malloc costs a program that hardly
# uses it.
count=0
while [ $count -lt 400 ]; do
    /bin/true
    echo $count | /bin/cat
    count=$((count + 1))
done
