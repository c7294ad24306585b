{# Of each group of rows the column sums to 1, as far as the rounding of its values can tell. No groups: of all rows. #}
{% test sums_to_one(model, column_name, groups) %}
select {% for column in groups %}{{ column }}, {% endfor %}sum({{ column_name }}) as total
from {{ model }}
{% if groups %}group by {{ groups | join(', ') }}{% endif %}
having abs(sum({{ column_name }}) - 1) > 0.00000001
{% endtest %}

{# Of each group of rows the column sums to what `total`, a column that is the same in all of them, says: no case is left out. #}
{% test adds_up_to(model, column_name, total, groups) %}
select {{ groups | join(', ') }}, sum({{ column_name }}) as found, max({{ total }}) as expected
from {{ model }}
group by {{ groups | join(', ') }}
having sum({{ column_name }}) <> max({{ total }}) or min({{ total }}) <> max({{ total }})
{% endtest %}

{#
    Of each group the column sums to what `other` sums to in the relation `to`, of which `only` picks rows: nothing is left out
    on the way. A group that one side does not have is 0 there.
#}
{% test same_total_as(model, column_name, to, other, groups, only='1 = 1', own='1 = 1') %}
select s.*
from (
    select {{ groups | join(', ') }}, sum(b.amount) as difference
    from (
        select {{ groups | join(', ') }}, {{ column_name }} as amount from {{ model }} where {{ own }}
        union all
        select {{ groups | join(', ') }}, -{{ other }} from {{ to }} where {{ only }}
    ) as b
    group by {{ groups | join(', ') }}
) as s
where s.difference <> 0
{% endtest %}

{# Bins of a scale adjoin: each ends where the next one begins, and the edges ascend with the number of the bin. #}
{% test adjoining_bins(model) %}
select e.*
from (
    select
        b.bin, b.score_from, b.score_below,
        lag(b.bin) over (order by b.bin) as bin_below,
        lead(b.bin) over (order by b.bin) as bin_above,
        lead(b.score_from) over (order by b.bin) as next_from
    from {{ model }} as b
) as e
where (e.bin_below is not null and e.score_from is null)
or (e.bin_above is not null and (e.score_below is null or e.next_from is null or e.score_below <> e.next_from))
or e.score_below <= e.score_from
{% endtest %}
