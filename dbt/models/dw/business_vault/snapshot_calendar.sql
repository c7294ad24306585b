{# Written in place, all of it: replacing the table would drop the views on it. #}
{{ config(meta={'made_whole': true}, pre_hook=["{{ delete_all() }}"]) }}

with
loan_movement as {{ rows_of(ref('loan_movement')) }},

{{ number_spine(4) }},

reported as (
    select {{ as_of_date() }} as as_of_date
),

-- The calendar begins with the first loan. A day that lies out of its range, such as a birth date in the wrong column, does not move it.
begun as (
    select r.as_of_date, min(m.effective_on) as first_day
    from loan_movement as m
    inner join reported as r on m.effective_on <= r.as_of_date and m.effective_on >= {{ first_calendar_day('r.as_of_date') }}
    where m.effect = 'disbursement'
    group by r.as_of_date
),

month_ends as (
    select b.as_of_date, {{ month_end(add_months(month_start('b.first_day'), 's.n')) }} as snapshot_date
    from begun as b
    inner join spine as s on s.n <= {{ months_between('b.first_day', 'b.as_of_date') }}
),

final as (
    select
        cast('month_end' as varchar(9)) as snapshot_kind,
        m.snapshot_date,
        {{ month_end(add_months('m.snapshot_date', -1)) }} as previous_month_end
    from month_ends as m
    where m.snapshot_date <= m.as_of_date
    union all
    select 'as_of', r.as_of_date, {{ add_days(month_start('r.as_of_date'), -1) }}
    from reported as r
)

select * from final
